"""What a picture costs at vendors, by their public documentation: documented, not measured.

Where a page can be read in two ways, the dearer reading is charged here, so that a budget is not overrun.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from videorouter.routers.cost.picture_cost import PictureCost

MOST_PATCHES: Final = 1536


@dataclass(frozen=True)
class FixedPictures(PictureCost):
    """Every picture costs `each`, whatever its size; of more than `side` pixels each way the model sees no more, where it is given.

    OpenAI's tile models under `"detail": "low"`: their base tokens, and a picture of 512 x 512 pixels
    (https://developers.openai.com/api/docs/guides/images-vision, "Tile-based image tokenization"). Gemini 3: at most 1,120 tokens
    where no `media_resolution` is given, whatever the size (https://docs.cloud.google.com/vertex-ai/generative-ai/docs/
    multimodal/send-multimodal-prompts, "Default resolution tokens"). Documented, not measured.
    """

    each: int
    side: int | None = None
    detail: str | None = None

    def size_for(self, tokens: int, height: int, width: int) -> tuple[int, int] | None:
        if tokens < self.tokens(height, width):
            return None
        shown = min(1.0, (self.side or max(height, width)) / max(height, width))
        return max(1, round(height * shown)), max(1, round(width * shown))

    def _charged(self, height: int, width: int) -> int:
        return self.each


@dataclass(frozen=True)
class OpenAITiles(PictureCost):
    """`base` and `tile` tokens for each square of 512 pixels, of the picture scaled so that its shorter side is 768.

    GPT-4o, GPT-4.1, GPT-4o-mini, GPT-5 and the o-series but o4-mini, under `"detail": "high"`
    (https://developers.openai.com/api/docs/guides/images-vision, "Tile-based image tokenization"). The page does not say that
    small pictures are left as they are, so they are enlarged here: the shape alone decides, 765 tokens for a square and 1,105 for
    16:9. Documented, not measured.
    """

    base: int
    tile: int
    detail: str | None = "high"

    def _charged(self, height: int, width: int) -> int:
        shorter, longer = sorted((height, width))
        return self.base + self.tile * 2 * math.ceil(Fraction(3 * longer, 2 * shorter))


@dataclass(frozen=True)
class OpenAIPatches(PictureCost):
    """Patches of 32 pixels, scaled down to 1,536 of them where there are more, times `hundredths` / 100, rounded up.

    GPT-5-mini and -nano, GPT-4.1-mini and -nano, o4-mini (https://developers.openai.com/api/docs/guides/images-vision,
    "Patch-based image tokenization"). Documented, not measured.
    """

    hundredths: int

    def _charged(self, height: int, width: int) -> int:
        patches = math.ceil(height / 32) * math.ceil(width / 32)
        if patches > MOST_PATCHES:
            shrink = math.sqrt(32 * 32 * MOST_PATCHES / (height * width))
            rows, columns = height * shrink / 32, width * shrink / 32
            shrink *= min(int(rows) / rows, int(columns) / columns)
            patches = math.ceil(round(height * shrink) / 32) * math.ceil(round(width * shrink) / 32)
        return math.ceil(min(patches, MOST_PATCHES) * self.hundredths / 100)


@dataclass(frozen=True)
class ClaudePictures(PictureCost):
    """One token a square of 28 pixels, rounded up each way; larger pictures are scaled down to `most` tokens and `edge` pixels.

    https://platform.claude.com/docs/en/build-with-claude/vision ("Resolution and token cost"): models before Claude 4.7 have
    1,568 pixels and 1,568 tokens at most, later ones 2,576 and 4,784. Earlier editions of the page estimated width x height / 750,
    which is less for small pictures (88 where 256 x 256 pixels cost 100). Documented, not measured.
    """

    most: int
    edge: int

    def _charged(self, height: int, width: int) -> int:
        shown = min(1.0, self.edge / max(height, width))
        patches = math.ceil(height * shown / 28) * math.ceil(width * shown / 28)
        return min(patches, self.most)


@dataclass(frozen=True)
class GeminiTiles(PictureCost):
    """258 tokens for a picture of at most 384 pixels each way, and for each tile of a larger one.

    Gemini 2.0 and 2.5 (https://ai.google.dev/gemini-api/docs/image-understanding, "Token calculation"): tiles have about the
    shorter side / 1.5, so their number follows the shape (6 for 960 x 540); taken as at most 768 pixels a side, the size that the
    page gives them. The page calls this a rough formula. Documented, not measured.
    """

    def _charged(self, height: int, width: int) -> int:
        if max(height, width) <= 384:
            return 258
        unit = min(768, max(1, int(min(height, width) / 1.5)))
        return 258 * math.ceil(height / unit) * math.ceil(width / unit)
