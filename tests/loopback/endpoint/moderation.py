"""What moderation looks like: by status, by finish reason, in a `refusal`, in words, or as a completion without choices."""

from typing import Any

from tests.loopback.endpoint.asked import Asked
from tests.loopback.endpoint.mode import ASIDE, REFUSED, Behaviour, Completion, Mode, mode, sends
from tests.loopback.endpoint.refusals import ODD_CLIP, refuses
from tests.loopback.endpoint.sent import Sent, response, told

AZURE = {
    "code": "ResponsibleAIPolicyViolation",
    "content_filter_result": {"violence": {"filtered": True, "severity": "medium"}},
}
AZURE_WORDS = "The response was filtered due to the prompt triggering the content management policy. Please modify it."
SORRY = "I'm sorry, but I can't help with identifying people in images."


def message(finish: str, **fields: Any) -> Behaviour:
    """A completion whose message and finish reason say it."""

    def behave(asked: Asked, good: Completion) -> Sent:
        good["choices"][0]["finish_reason"] = finish
        good["choices"][0]["message"] |= fields
        return told(good)

    return behave


def blocked(asked: Asked, good: Completion) -> Sent:
    """As Gemini answers a prompt that it blocks."""
    return told(good | {"choices": [], "prompt_feedback": {"block_reason": "PROHIBITED_CONTENT"}})


def flagged() -> Sent:
    """As OpenRouter answers for a provider."""
    metadata = {"reasons": ["violence"], "flagged_input": "...", "provider_name": "OpenAI"}
    return told({"error": {"code": 403, "message": "Your chosen model requires moderation", "metadata": metadata}}, 403)


POLICY = refuses(400, "Your request was rejected as a result of our safety system.", "content_policy_violation")

MODES: list[Mode] = [
    mode("moderation_openai", "400 `content_policy_violation` to one clip", ASIDE, POLICY, ODD_CLIP),
    mode(
        "moderation_azure",
        "400 `content_filter` with an inner error to one clip (Azure)",
        ASIDE,
        refuses(400, AZURE_WORDS, "content_filter", innererror=AZURE),
        ODD_CLIP,
    ),
    mode(
        "moderation_dashscope",
        "400 `data_inspection_failed` to one clip (DashScope)",
        ASIDE,
        refuses(
            400,
            "<400> InternalError.Algo.DataInspectionFailed: Input image data may contain inappropriate content.",
            "data_inspection_failed",
        ),
        ODD_CLIP,
    ),
    mode("moderation_openrouter", "403 with `flagged_input` to one clip (OpenRouter)", ASIDE, sends(flagged), ODD_CLIP),
    mode("moderation_by_law", "451 to one clip, without a body", ASIDE, sends(lambda: response(b"", 451)), ODD_CLIP),
    mode("moderation_of_all", "400 `content_policy_violation` to all", (ASIDE, REFUSED), POLICY),
    mode(
        "filtered",
        "finish reason `content_filter`, no content, to one clip",
        ASIDE,
        message("content_filter", content=None),
        ODD_CLIP,
    ),
    mode(
        "filtered_sensitive",
        "finish reason `sensitive`, no content, to one clip (z.AI)",
        ASIDE,
        message("sensitive", content=""),
        ODD_CLIP,
    ),
    mode(
        "filtered_of_all",
        "finish reason `content_filter`, no content, to all",
        (ASIDE, REFUSED),
        message("content_filter", content=None),
    ),
    mode(
        "refusal",
        "`refusal` in place of content to one clip",
        ASIDE,
        message("stop", content=None, refusal=SORRY),
        ODD_CLIP,
    ),
    mode("refusal_in_words", "an apology as content to one clip", ASIDE, message("stop", content=SORRY), ODD_CLIP),
    mode("refusal_in_words_to_all", "an apology as content to all", REFUSED, message("stop", content=SORRY)),
    mode("prompt_blocked", "no choices, a `block_reason`, to one clip (Gemini)", ASIDE, blocked, ODD_CLIP),
]
