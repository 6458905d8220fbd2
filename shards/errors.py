"""What can be wrong with shards; every message names the shard, the key where there is one, and the remedy."""


class ShardError(ValueError):
    """A shard or data set that cannot be used."""


class MissingShard(ShardError):
    """No shard of the split, or a shard without its sidecar."""


class DamagedShard(ShardError):
    """Bytes that do not fit the sidecar or the schema."""


class FinishedShard(ShardError):
    """A finished shard is never overwritten."""
