"""The engine under every builder: a plan of shards, executors that build them, and the run folder they share."""
