"""One thin function a job kind: load, call the pipeline once, store. Knows no broker and no worker."""
