"""One sample as a page to look at: its frames in time, and for every question which of them carry the evidence."""

import base64
from html import escape
from pathlib import Path
from string import Template

from videorouter.shards.sample import ShardSample
from videorouter.shards.schema import LabelledQuestion


def page(sample: ShardSample) -> str:
    """A self-contained HTML page; hovering over a question, or choosing it, dims the frames that are not relevant to it."""
    video = sample.video
    facts = {
        "video": video.uri,
        "length": f"{video.duration:.1f} s, {video.total} frames at {video.fps:g} a second",
        "sampled": f"{len(video.indices)} frames by {video.sampler}, decoded by {video.decoder}, "
        f"{video.width} x {video.height}",
        "shard": sample.shard or "not written yet",
    }
    frames = "".join(
        f'<figure data-frame="{number}"><img alt="frame {number}" '
        f'src="data:image/jpeg;base64,{base64.b64encode(data).decode()}"><figcaption>{second:.1f} s</figcaption></figure>'
        for number, (data, second) in enumerate(zip(sample.jpegs, video.seconds, strict=True))
    )
    return Template((Path(__file__).with_name("page.html")).read_text(encoding="utf-8")).substitute(
        key=escape(sample.key),
        facts="".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items()),
        questions="".join(_question(labelled) for labelled in sample.questions),
        count=f"{len(sample.questions)} question{'' if len(sample.questions) == 1 else 's'}",
        frames=frames,
    )


def _question(labelled: LabelledQuestion) -> str:
    question, relevance = labelled.question, labelled.relevance
    options = "".join(
        f"<li{' class=answer' if option == question.answer else ''}>{escape(option)}</li>"
        for option in question.options or ([question.answer] if question.answer else [])
    )
    tags = [
        question.task_type,
        f"labelled by {labelled.teacher or labelled.origin}",
        question.licence or "no licence stated",
    ]
    if labelled.policy:
        tags.insert(
            0,
            f"policy {labelled.policy.policy} (margin {labelled.policy.margin:.2f}, {labelled.policy.support} probed)",
        )
    if relevance:
        tags.insert(0, f"{sum(relevance.relevant)} of {len(relevance.relevant)} frames relevant")
    bars = ""
    for number, relevant in enumerate(relevance.relevant if relevance else []):
        score = relevance.scores[number] if relevance and relevance.scores else 100 if relevant else 0
        bars += f'<i class="{"on" if relevant else "off"}" style="height:{max(score, 6)}%" title="frame {number}: {score}"></i>'
    relevant_frames = ",".join(str(n) for n, on in enumerate(relevance.relevant) if on) if relevance else ""
    return (
        f'<section tabindex="0" data-relevant="{relevant_frames}"><h2>{escape(question.question)}</h2>'
        f"<ol>{options}</ol><p>{''.join(f'<span>{escape(tag)}</span>' for tag in tags)}</p>"
        + (f'<div class="bars" role="img" aria-label="relevance by frame">{bars}</div>' if bars else "")
        + "</section>"
    )
