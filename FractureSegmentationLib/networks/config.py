"""What a network looks like, as frozen values that load no torch and survive a JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, TypeVar

_Config = TypeVar("_Config", "UNet3DConfig", "TPCNetConfig")


def _to_dict(config: UNet3DConfig | TPCNetConfig) -> dict[str, Any]:
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items()
    }


def _from_dict(kind: type[_Config], values: Mapping[str, Any]) -> _Config:
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {', '.join(unknown)}")
    arguments: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return kind(**arguments)


def _check_backbone(config: UNet3DConfig | TPCNetConfig) -> None:
    if len(config.features) < 2:
        raise ValueError(f"features must name at least two stages, got {config.features}")
    counts = {
        "in_channels": config.in_channels,
        "out_channels": config.out_channels,
        "convs_per_stage": config.convs_per_stage,
        "decoder_convs": config.decoder_convs,
    }
    for name, count in [*counts.items(), *(("features", width) for width in config.features)]:
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class UNet3DConfig:
    """A plain 3D U-Net.

    Attributes:
        in_channels: channels of the input.
        out_channels: classes, background included.
        features: channels of each stage, full resolution first; each further one halves the grid.
        convs_per_stage: convolutions of an encoder stage.
        decoder_convs: convolutions of a decoder stage.
    """

    in_channels: int = 1
    out_channels: int = 6
    features: tuple[int, ...] = (16, 32, 64, 96, 96)
    convs_per_stage: int = 2
    decoder_convs: int = 2

    def __post_init__(self) -> None:
        _check_backbone(self)

    @property
    def stride(self) -> int:
        """Every side of the input must be a multiple of this."""
        return int(2 ** (len(self.features) - 1))

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return _to_dict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> UNet3DConfig:
        """The configuration that `to_dict` wrote.

        Raises:
            ValueError: a field is unknown or its value is not possible.
        """
        return _from_dict(cls, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class TPCNetConfig:
    """The trauma-prior-guided contrastive network and which of its parts are on.

    Attributes:
        in_channels: channels of the input (CT inside the bone, bone mask; the mask comes last).
        out_channels: classes of the boundary-interior-contact mask, background included.
        features: channels of each stage, full resolution first; each further one halves the grid.
        convs_per_stage: convolutions of an encoder stage.
        decoder_convs: convolutions of a decoder stage.
        memory_keys: entries of the memory bank per scale (K).
        embedding_dim: length of a memory entry and of a patch embedding (F).
        heads: heads of every attention.
        channel_embedding: token width of the channel attention.
        spatial_embedding: token width of the spatial attention.
        spatial_grid: tokens of the spatial attention along each axis of a scale.
        fca_tokens: at most so many pooled tokens along each axis in the feature calibration.
        use_contrastive: whether the patch embeddings are handed out for the contrastive loss.
        use_memory: whether embeddings are refined by the memory bank.
        use_channel_attention: Eq. 7 and 8.
        use_spatial_attention: Eq. 9 to 11.
        use_fca: Eq. 12 to 14; otherwise encoder features are concatenated as in a U-Net.
        deep_supervision: whether training also yields logits at lower resolutions.
        literal_softmax: Eq. 7 and 9 with layer normalisation of the scores, as printed, in place
            of the usual division by the square root of the head width.
        masked_descriptors: whether a patch is described to its projection by the mean of each
            channel and by its mean and standard deviation over bone, and projected without biases;
            otherwise by the mean alone, with biases, as published.
        normalised_memory: whether the memory bank holds embeddings g at length one; otherwise
            refined embeddings g~ as they are, as published.
        centred_embeddings: whether embeddings are standardised by running statistics, so that what
            all of them share counts for nothing.
        embedding_scales: the scales that have embedding, contrast and memory, ascending, 0 at full
            resolution; none named means all, as published.
    """

    in_channels: int = 2
    out_channels: int = 4
    features: tuple[int, ...] = (16, 32, 64, 96, 96)
    convs_per_stage: int = 2
    decoder_convs: int = 2
    memory_keys: int = 256
    embedding_dim: int = 128
    heads: int = 4
    channel_embedding: int = 32
    spatial_embedding: int = 32
    spatial_grid: int = 4
    fca_tokens: int = 16
    use_contrastive: bool = True
    use_memory: bool = True
    use_channel_attention: bool = True
    use_spatial_attention: bool = True
    use_fca: bool = True
    deep_supervision: bool = True
    literal_softmax: bool = False
    # A configuration stored before these were there means the published form.
    masked_descriptors: bool = False
    normalised_memory: bool = False
    centred_embeddings: bool = False
    embedding_scales: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_backbone(self)
        for name in ("memory_keys", "heads", "spatial_grid", "fca_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("embedding_dim", "channel_embedding", "spatial_embedding"):
            width = getattr(self, name)
            if width < 1 or width % self.heads:
                raise ValueError(f"{name} must be a multiple of heads {self.heads}, got {width}")
        if self.masked_descriptors and self.in_channels < 2:
            raise ValueError("masked_descriptors need an input with the bone mask as a channel")
        possible = range(len(self.features))
        if [scale for scale in possible if scale in self.embedding_scales] != list(
            self.embedding_scales
        ):
            raise ValueError(
                f"embedding_scales must ascend within 0 to {possible[-1]}, "
                f"got {self.embedding_scales}"
            )

    @property
    def stride(self) -> int:
        """Every side of the input must be a multiple of this."""
        return int(2 ** (len(self.features) - 1))

    @property
    def uses_embeddings(self) -> bool:
        """Whether any part that is on needs one embedding per patch and scale."""
        return self.use_contrastive or self.use_memory or self.use_channel_attention

    @property
    def scales_with_embedding(self) -> tuple[int, ...]:
        """The scales that have an embedding, ascending, 0 at full resolution."""
        if not self.uses_embeddings:
            return ()
        return self.embedding_scales or tuple(range(len(self.features)))

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return _to_dict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TPCNetConfig:
        """The configuration that `to_dict` wrote.

        Raises:
            ValueError: a field is unknown or its value is not possible.
        """
        return _from_dict(cls, values)


SMALL: Final = TPCNetConfig(masked_descriptors=True, normalised_memory=True)
"""Made for two processor cores."""

PAPER: Final = TPCNetConfig(
    features=(32, 64, 128, 256, 320, 320),
    memory_keys=1000,
    embedding_dim=256,
    channel_embedding=128,
)
"""The published size."""

BONES_COARSE: Final = UNet3DConfig()
"""Bone extraction on the whole CT at 3 mm."""

BONES_FINE: Final = UNet3DConfig(in_channels=6, features=(16, 32, 64, 128))
"""Bone extraction at 1.5 mm: CT and the five one-hot bones of the coarse result."""
