"""Local response normalisation across channels, as MatConvNet defines it."""

from __future__ import annotations

import torch
from torch import nn


class ChannelNormalization(nn.Module):
    """MatConvNet's `vl_nnnormalize`: ``y[c] = x[c] / (kappa + alpha * sum of x[k]^2 over |k - c| <= half) ^ beta``.

    `half` is ``(size - 1) / 2``, size odd. torch's and Caffe's alpha is divided by `size`; this one is not (VGG-M: 1e-4
    here, 5e-4 there).
    """

    def __init__(self, size: int = 5, kappa: float = 2.0, alpha: float = 1e-4, beta: float = 0.75) -> None:
        super().__init__()
        if size % 2 == 0:
            raise ValueError(f"the window of a channel normalisation must be odd, not {size}")
        self.size, self.kappa, self.alpha, self.beta = size, kappa, alpha, beta

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32[B, C, h, w] to the same."""
        squares = x.square()
        total = squares.clone()
        for k in range(1, (self.size + 1) // 2):
            total[:, k:] += squares[:, :-k]
            total[:, :-k] += squares[:, k:]
        base = total.mul_(self.alpha).add_(self.kappa)
        if self.beta == 0.75:  # two square roots are several times faster than a power
            root = base.rsqrt()
            return x * root * root.sqrt()
        return x * base.pow(-self.beta)

    def extra_repr(self) -> str:
        """The constants, for printing."""
        return f"size={self.size}, kappa={self.kappa}, alpha={self.alpha}, beta={self.beta}"
