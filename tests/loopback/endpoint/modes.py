"""All ways to misbehave, by name, in families."""

from typing import Final

from tests.loopback.endpoint import contents, envelopes, moderation, refusals, transport, usages, waits
from tests.loopback.endpoint.mode import Mode

FAMILIES: Final[dict[str, list[Mode]]] = {
    "refusals": refusals.MODES,
    "moderation": moderation.MODES,
    "errors and other things inside a 200": envelopes.MODES,
    "content": contents.MODES,
    "usage": usages.MODES,
    "waits": waits.MODES,
    "transport": transport.MODES,
}
MODES: Final[dict[str, Mode]] = {mode.name: mode for family in FAMILIES.values() for mode in family}
