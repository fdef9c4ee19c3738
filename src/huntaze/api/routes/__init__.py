"""One file a resource. A route checks, authorises, writes rows in one commit, and shows rows."""
