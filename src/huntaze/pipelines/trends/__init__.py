"""What is rising: topics, hourly buckets, the detector, the life of a trend."""
