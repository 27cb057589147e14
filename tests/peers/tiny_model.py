"""Makes a language model of a few thousand weights by hand: each token has one successor, so it says what is set here.

Run it with the Python of ``.venv-realmodel`` and a folder. The chat template ends in a token that says what is wanted,
an answer, a call of a tool or a word on its result, and from there the weights lead on. So a real server's whole path
is walked (template, tokens, weights, the parsing of thoughts and tool calls) with an outcome that a test can name.
What must never stand here: an import of this project, training, a
download.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

END, UNKNOWN, OPENS = "<|end|>", "<|unknown|>", "<|turn|>"
CALL = ("<tool_call>", '{"name": "server0_add"', ', "arguments": {"a": 5', ', "b": 3}}', "</tool_call>")
CHAINS = (
    ("<|answer|>", "Hello", " from", " a", " tiny", " model", END),
    ("<|call|>", "<think>", "A tool adds better", "</think>", *CALL, END),
    ("<|tell|>", "The tool", " has", " added", END),
)
"""What follows what; the first of each is the end of a prompt."""
SPECIAL = (END, UNKNOWN, OPENS, *(chain[0] for chain in CHAINS))
TEMPLATE = (
    "{% for message in messages %}<|turn|>{{ message.role }} {{ message.content }}<|end|>{% endfor %}"
    "{% if messages[-1].role == 'tool' %}<|tell|>{% elif tools %}<|call|>{% else %}<|answer|>{% endif %}"
)
RESPONSE = {
    "defaults": {"role": "assistant"},
    "start_anchor": [chain[0] for chain in CHAINS],
    "fields": {
        "reasoning_content": {"open": "<think>", "close": "</think>", "content": "text"},
        "tool_calls": {
            "open": "<tool_call>",
            "close": "</tool_call>",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close": END, "content": "text"},
    },
}
"""How the server tells thoughts, calls and text apart."""
WIDTH = 32


def tokens() -> list[str]:
    """Every token, by its id."""
    return list(dict.fromkeys([*SPECIAL, *(token for chain in CHAINS for token in chain)]))


def tokenizer() -> PreTrainedTokenizerFast:
    """Knows the tokens; any other text is unknown to it."""
    known = {token: number for number, token in enumerate(tokens())}
    inner = Tokenizer(models.WordLevel(known, unk_token=UNKNOWN))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s+"), "isolated")
    inner.decoder = decoders.Fuse()
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token=UNKNOWN,
        eos_token=END,
        pad_token=END,
        extra_special_tokens=list(SPECIAL[2:]),
        response_template=RESPONSE,
    )
    made.chat_template = TEMPLATE
    return made


def model() -> LlamaForCausalLM:
    """A transformer whose one layer adds nothing: the last token alone decides."""
    known = tokens()
    config = LlamaConfig(
        vocab_size=len(known),
        hidden_size=WIDTH,
        intermediate_size=4,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=131072,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=known.index(END),
        pad_token_id=known.index(END),
    )
    made = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, weights in made.named_parameters():
            if "norm" not in name:
                weights.zero_()
        made.model.embed_tokens.weight[:, : len(known)] = torch.eye(len(known))
        for now, after in [pair for chain in CHAINS for pair in pairwise(chain)]:
            made.lm_head.weight[known.index(after), known.index(now)] = 10.0
    made.generation_config = GenerationConfig(do_sample=False, eos_token_id=known.index(END), pad_token_id=0)
    return made


if __name__ == "__main__":
    model().save_pretrained(Path(sys.argv[1]))
    tokenizer().save_pretrained(Path(sys.argv[1]))
