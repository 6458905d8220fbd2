"""A prompt's digest tells it from every other that the model would answer differently."""

from dataclasses import replace

import torch

from videorouter.routers.backbones.prompt import Prompt


def test_equal_prompts_have_one_digest_and_others_another() -> None:
    embeddings, positions = torch.randn(1, 5, 8), torch.arange(15).reshape(3, 1, 5)
    prompt = Prompt(embeddings, torch.tensor([1, 2]), positions, (torch.randn(2, 8),), 15)
    assert replace(prompt, embeddings=embeddings.clone()).digest() == prompt.digest()
    moved = embeddings.clone()
    moved[0, 3, 7] += 1e-3
    others = [
        replace(prompt, embeddings=moved),
        replace(prompt, visual=torch.tensor([1, 3])),
        replace(prompt, visual=torch.tensor([], dtype=torch.int64)),
        replace(prompt, position_ids=positions + 1),
        replace(prompt, position_ids=None),
        replace(prompt, deepstack=(torch.zeros(2, 8),)),
        replace(prompt, deepstack=()),
        replace(prompt, next_position=16),
        prompt.to(torch.bfloat16),
    ]
    digests = [one.digest() for one in (prompt, *others)]
    assert len(set(digests)) == len(digests)
