"""Whisper's architecture, small, and a CTC head that is dropped at export."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from tools.spoken_digits.tokens import TIMESTAMPS, WORDS

WINDOW_FRAMES = 3_000  # Whisper's 30 s
GUIDED_HEADS = 2  # attention heads of the first and last decoder layer that are taught where to look


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.v, self.o = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.k = nn.Linear(width, width, bias=False)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def forward(self, x: torch.Tensor, causal: bool = False) -> torch.Tensor:
        """Attention of x to itself."""
        q, k, v = (self.split(t) for t in (self.q(x), self.k(x), self.v(x)))
        return self.o(F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).flatten(2))

    def across(self, x: torch.Tensor, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Attention of x to memory, and its logarithm [B, heads, L, T], which is trained too."""
        q, k, v = self.split(self.q(x)), self.split(self.k(memory)), self.split(self.v(memory))
        looks = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).float().log_softmax(-1)
        return self.o((looks.exp().to(v.dtype) @ v).transpose(1, 2).flatten(2)), looks


class Block(nn.Module):
    """Self-attention, cross-attention in the decoder, feed-forward; layer norm before each."""

    def __init__(self, width: int, heads: int, is_decoder: bool, dropout: float = 0.1) -> None:
        super().__init__()
        self.is_decoder = is_decoder
        self.n1, self.sa = nn.LayerNorm(width), Attention(width, heads)
        self.n3, self.f1, self.f2 = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dp = nn.Dropout(dropout)
        if is_decoder:
            self.n2, self.ca = nn.LayerNorm(width), Attention(width, heads)

    def forward(self, x: torch.Tensor, memory: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor | None]:
        looks = None
        x = x + self.sa(self.n1(x), causal=self.is_decoder)
        if memory is not None:
            found, looks = self.ca.across(self.n2(x), memory)
            x = x + found
        return x + self.dp(self.f2(F.gelu(self.f1(self.n3(x))))), looks


def sinusoids(length: int, width: int) -> torch.Tensor:
    rates = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


class Whisper(nn.Module):
    """Whisper's architecture plus a CTC head that is dropped at export."""

    def __init__(
        self, vocabulary: int, width: int = 192, heads: int = 3, encoder_layers: int = 4, decoder_layers: int = 2
    ) -> None:
        super().__init__()
        self.pe: torch.Tensor
        self.ps: torch.Tensor
        self.shape = (width, heads, encoder_layers, decoder_layers)
        self.c1, self.c2 = nn.Conv1d(80, width, 3, padding=1), nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.register_buffer("pe", sinusoids(WINDOW_FRAMES // 2, width))
        self.register_buffer("ps", sinusoids(TIMESTAMPS, width))
        self.tsp = nn.Linear(width, width)  # timestamp embeddings = tsp(ps)
        self.enc = nn.ModuleList(Block(width, heads, False) for _ in range(encoder_layers))
        self.ne = nn.LayerNorm(width)
        self.emb = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.emb.weight, std=0.02)
        self.pd = nn.Parameter(torch.randn(448, width) * 0.01)
        self.dec = nn.ModuleList(Block(width, heads, True) for _ in range(decoder_layers))
        self.nd, self.ctc = nn.LayerNorm(width), nn.Linear(width, len(WORDS) + 1)

    def embeddings(self) -> torch.Tensor:
        """All token embeddings, [vocabulary, width]; the last TIMESTAMPS rows are made, not stored."""
        return torch.cat([self.emb.weight[:-TIMESTAMPS], self.tsp(self.ps)])

    def encode(self, mel: torch.Tensor, at: int = 0) -> torch.Tensor:
        x = F.gelu(self.c2(F.gelu(self.c1(mel)))).transpose(1, 2)
        x = x + self.pe[at : at + x.shape[1]]
        for block in self.enc:
            x, _ = block(x)
        return self.ne(x)

    def forward(
        self, mel: torch.Tensor, tokens: torch.Tensor, at: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """
        Logits [B, L, vocabulary], encoder output [B, T/2, width] and where each decoder layer looks.

        The mel [B, 80, T] is placed at encoder position `at`.
        """
        embeddings, memory = self.embeddings(), self.encode(mel, at)
        x, looks = F.embedding(tokens, embeddings) + self.pd[: tokens.shape[1]], []
        for block in self.dec:
            x, look = block(x, memory)
            looks.append(look)
        return self.nd(x) @ embeddings.T, memory, looks
