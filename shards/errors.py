"""What can be wrong with shards. Every error names the shard, the sample's key where there is one, and the remedy."""

REBUILD = "delete the shard and its .json and run the builder again, or fetch them anew"


class ShardError(ValueError):
    """A shard or data set that cannot be used.

    Args:
        problem: what is wrong
        shard: path or address of the shard, sidecar or folder
        key: the sample's
        remedy: what to do
    """

    def __init__(self, problem: str, *, shard: object, key: str | None = None, remedy: str = REBUILD) -> None:
        self.problem, self.shard, self.key, self.remedy = problem, str(shard), key, remedy
        super().__init__(f"{f'sample {key} of ' if key else ''}{shard}: {problem}: {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), self.problem, self.shard, self.key, self.remedy)  # loader processes send errors


class MissingShard(ShardError):
    """No shard of the split, or one that the manifest lists is not there."""


class MissingSidecar(ShardError):
    """A tar without the JSON that belongs to it."""


class OtherVersion(ShardError):
    """Written by a release whose schema this one does not read."""


class FinishedShard(ShardError):
    """A finished shard is never overwritten."""


class DuplicateKey(ShardError):
    """Two samples of one data set have the same key."""


class BadName(ShardError):
    """A key or member name that is no plain name: it could lead out of a folder, or be split in the wrong place."""


class DamagedShard(ShardError):
    """Bytes that do not fit the sidecar or the schema."""


class BadSidecar(DamagedShard):
    """A sidecar or manifest that is not of this format."""


class TruncatedShard(DamagedShard):
    """A tar that ends before its last sample does."""


class ChangedShard(DamagedShard):
    """A tar whose bytes are not the ones that were written."""


class ForeignMember(DamagedShard):
    """A tar member that belongs to no sample, or is no plain file."""


class OversizedMember(DamagedShard):
    """A member that claims to be larger than any sample can be."""


class BadPicture(DamagedShard):
    """A frame that does not decode, or not to the size its record states."""


class BadLabels(DamagedShard):
    """JSON that does not fit the schema, or labels that do not fit the frames."""


class TooLittleData(ValueError):
    """Fewer batches than ranks: some would have nothing to do and the others would wait for them."""


def _again(kind: type[ShardError], problem: str, shard: str, key: str | None, remedy: str) -> ShardError:
    return kind(problem, shard=shard, key=key, remedy=remedy)
