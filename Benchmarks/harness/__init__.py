"""What `make bench` is made of: processes, peers, load, accounting, claims and the report."""
