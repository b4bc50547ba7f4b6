"""Networks that denoise: ``net(x, b, label=None, known=None) -> logits (B, *S, K)``."""

from discrete_ca.nn.adjustment import AdjustmentHead, AdjustmentMLP
from discrete_ca.nn.autoregressive import AutoregressiveTransformer
from discrete_ca.nn.conv import DilatedConv
from discrete_ca.nn.embeddings import LevelEmbedding
from discrete_ca.nn.guided import Guided
from discrete_ca.nn.logistic import Logistic, logistic_logits
from discrete_ca.nn.mlp import MLP
from discrete_ca.nn.preconditioned import Preconditioned
from discrete_ca.nn.transformer import Transformer
from discrete_ca.nn.unet import UNet

__all__ = [
    "MLP",
    "AdjustmentHead",
    "AdjustmentMLP",
    "AutoregressiveTransformer",
    "DilatedConv",
    "Guided",
    "LevelEmbedding",
    "Logistic",
    "Preconditioned",
    "Transformer",
    "UNet",
    "logistic_logits",
]
