import math

from spandrel.util import KeyCondition, get_pixelshuffle_params, get_seq_len
from typing_extensions import override

from ...__helpers.model_descriptor import (
    Architecture,
    ImageModelDescriptor,
    SizeRequirements,
    StateDict,
)
from .__arch.lsm import LSM


class LSMArch(Architecture[LSM]):
    def __init__(self) -> None:
        super().__init__(
            id="LSM",
            detect=KeyCondition.has_all(
                "conv_first.weight",
                "before_RG.1.weight",
                "layers.0.blocks.0.gamma",
                "layers.0.blocks.0.norm1.weight",
                "layers.0.blocks.0.attn.qkv.weight",
                "layers.0.blocks.0.attn.get_v.weight",
                "layers.0.blocks.0.attn.attns.0.rpe_biases",
                "layers.0.blocks.0.attn.attns.0.pos.pos3.2.weight",
                "layers.0.blocks.0.mlp.fc1.weight",
                "layers.0.blocks.1.norm3.weight",
                "layers.0.blocks.1.embedding.weight",
                "layers.0.blocks.1.lru.scale",
                # this is what tells LSM from RGT and DAT
                "layers.0.blocks.1.lru.lru_core.nu_log",
                "norm.weight",
                "conv_after_body.weight",
                "upsample.0.weight",
            ),
        )

    @override
    def load(self, state_dict: StateDict) -> ImageModelDescriptor[LSM]:
        # masks depend on the size of the training images, and are computed instead
        state_dict = {
            key: value
            for key, value in state_dict.items()
            if not key.endswith((".attn_mask_0", ".attn_mask_1"))
        }

        img_range = 1.0  # cannot be deduced from state dict
        drop_path_rate = 0.1  # cannot be deduced from state dict

        in_chans = state_dict["conv_first.weight"].shape[1]
        embed_dim = state_dict["conv_first.weight"].shape[0]
        depths = tuple(
            get_seq_len(state_dict, f"layers.{i}.blocks")
            for i in range(get_seq_len(state_dict, "layers"))
        )

        first = "layers.0.blocks.0"
        # each orientation of the windows has num_heads // 2 heads, so odd counts cannot be told from even ones
        num_heads = (
            state_dict[f"{first}.attn.attns.0.pos.pos3.2.weight"].shape[0] * 2
        )
        mlp_ratio = state_dict[f"{first}.mlp.fc1.weight"].shape[0] / embed_dim
        offsets = state_dict[f"{first}.attn.attns.0.rpe_biases"]
        split_size = tuple(int(x) + 1 for x in offsets[-1])

        d_state = state_dict["layers.0.blocks.1.lru.lru_core.nu_log"].shape[0]
        num_tokens = state_dict["layers.0.blocks.1.embedding.weight"].shape[0]

        if "conv_last.weight" in state_dict:
            upsampler = "pixelshuffle"
            upscale, _ = get_pixelshuffle_params(state_dict, "upsample")
        else:
            upsampler = "pixelshuffledirect"
            upscale = math.isqrt(state_dict["upsample.0.weight"].shape[0] // in_chans)

        model = LSM(
            upscale=upscale,
            in_chans=in_chans,
            embed_dim=embed_dim,
            depths=depths,
            num_heads=num_heads,
            mlp_ratio=mlp_ratio,
            d_state=d_state,
            num_tokens=num_tokens,
            split_size=split_size,
            img_range=img_range,
            drop_path_rate=drop_path_rate,
            upsampler=upsampler,
        )

        if upsampler == "pixelshuffledirect":
            size_tag = "light"
        else:
            size_tag = "small" if len(depths) <= 6 else "medium"

        return ImageModelDescriptor(
            model,
            state_dict,
            architecture=self,
            purpose="Restoration" if upscale == 1 else "SR",
            tags=[size_tag, f"{embed_dim}dim", f"{split_size[0]}x{split_size[1]}w"],
            supports_half=False,  # the choice of categories is sensitive to rounding
            supports_bfloat16=False,
            scale=upscale,
            input_channels=in_chans,
            output_channels=in_chans,
            size_requirements=SizeRequirements(),  # padded inside
        )


__all__ = ["LSM", "LSMArch"]
