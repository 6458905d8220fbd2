"""Named things that installed packages can add to by entry points: systems, benchmarks, annotation sources, builders."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Our own entries by name, and those of installed packages in an entry point group, imported when they are first asked for.

    `group` is the entry point group, such as `videorouter.systems`; `kind` what an error calls an entry, such as "system".
    """

    def __init__(self, group: str, kind: str, own: Mapping[str, Entry]) -> None:
        self.group, self.kind, self.own = group, kind, own

    def __getitem__(self, name: str) -> Entry:
        """Raises `KeyError` for a name nobody registered, `ValueError` naming the package where its entry cannot be imported."""
        if name in self.own:
            return self.own[name]
        point = self._installed[name]
        try:
            entry: Entry = point.load()
        except Exception as error:
            raise ValueError(
                f"the {self.kind} {name!r} of the package {package_of(point)} cannot be loaded ({point.value}): {error}"
            ) from error
        return entry

    def __iter__(self) -> Iterator[str]:
        yield from (*self.own, *self._installed)

    def __len__(self) -> int:
        return len(self.own) + len(self._installed)

    def named(self, name: str) -> Entry:
        """The entry of that name. Raises `ValueError` that lists the names there are."""
        if name not in self:
            raise ValueError(f"unknown {self.kind} {name!r}: there are {', '.join(self)}")
        return self[name]

    @cached_property
    def _installed(self) -> dict[str, EntryPoint]:
        """By name. Raises `ValueError` where a package takes a name that is ours or another package's."""
        found: dict[str, EntryPoint] = {}
        for point in sorted(entry_points(group=self.group), key=lambda point: (point.name, package_of(point))):
            if point.name in self.own or point.name in found:
                whose = "videorouter's own" if point.name in self.own else f"also {package_of(found[point.name])}'s"
                raise ValueError(
                    f"the package {package_of(point)} registers the {self.kind} {point.name!r}, which is {whose}: "
                    "one of them must take another name"
                )
            found[point.name] = point
        return found


def package_of(point: EntryPoint) -> str:
    """The installed package that an entry point belongs to."""
    return point.dist.name if point.dist is not None else "?"
