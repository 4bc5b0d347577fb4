"""Writes the *-odd-tiny checkpoints with their goldens:  make_odd_models.py ../models

Random weights; each model mixes what no official checkpoint has, but the formats allow. Goldens are float64, by
reference_forward.py. Seeds are searched until no greedy choice and no routing is near a tie.
"""
import json
import math
import os
import struct
import sys

import numpy as np

import reference_forward as reference

COMMON = {"hidden_act": "silu", "max_position_embeddings": 4096, "bos_token_id": 0, "eos_token_id": 1}
MODELS = {
    # MLA biases, one query rank, odd sizes, nope + rope != v, groups of 3, weights not normalised, two shared experts,
    # MoE in every second layer, YaRN as transformers >= 5 spells it with mscale != mscale_all_dim, BF16, F16 and F32
    # mixed, correction bias in BF16, an MTP layer without its own embedding and head.
    "v3-odd-tiny": (dict(COMMON, architectures=["DeepseekV3ForCausalLM"], model_type="deepseek_v3", vocab_size=89,
                         hidden_size=37, intermediate_size=51, moe_intermediate_size=11, num_hidden_layers=4,
                         num_attention_heads=3, num_key_value_heads=3, q_lora_rank=19, kv_lora_rank=23,
                         qk_nope_head_dim=7, qk_rope_head_dim=6, v_head_dim=9, attention_bias=True,
                         n_routed_experts=9, n_shared_experts=2, num_experts_per_tok=3, n_group=3, topk_group=2,
                         topk_method="noaux_tc", scoring_func="sigmoid", norm_topk_prob=False,
                         routed_scaling_factor=1.37, first_k_dense_replace=1, moe_layer_freq=2,
                         num_nextn_predict_layers=1, rms_norm_eps=1e-3, tie_word_embeddings=False, dtype="bfloat16",
                         rope_parameters={"rope_type": "yarn", "rope_theta": 5000.0, "factor": 12.5,
                                          "original_max_position_embeddings": 50, "mscale": 1.3,
                                          "mscale_all_dim": 0.6}),
                    {"dtypes": ["BF16", "F16", "F32"], "bias_dtype": "BF16"}),
    # V2 without query rank, FP8 with ragged blocks (every second matrix; the embedding too), scales in other shards,
    # greedy routing with a factor, every layer MoE, no shared expert, no rope scaling, tied head.
    "v2-odd-tiny": (dict(COMMON, architectures=["DeepseekV2ForCausalLM"], model_type="deepseek_v2", vocab_size=131,
                         hidden_size=140, intermediate_size=136, moe_intermediate_size=12, num_hidden_layers=2,
                         num_attention_heads=3, num_key_value_heads=3, q_lora_rank=None, kv_lora_rank=132,
                         qk_nope_head_dim=24, qk_rope_head_dim=8, v_head_dim=16, n_routed_experts=6,
                         n_shared_experts=None, num_experts_per_tok=2, n_group=None, topk_group=None,
                         topk_method="greedy", scoring_func="softmax", norm_topk_prob=False,
                         routed_scaling_factor=2.3, first_k_dense_replace=0, moe_layer_freq=1, rms_norm_eps=1e-6,
                         rope_theta=10000, rope_scaling=None, tie_word_embeddings=True, torch_dtype="bfloat16",
                         quantization_config={"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128],
                                              "activation_scheme": "dynamic"}),
                    {"dtypes": ["BF16"], "fp8": True, "shards": 3}),
    # Llama with attention biases, linear rope scaling, head_dim that is not hidden_size / heads, one kv head, F16; only
    # model_type tells the architecture.
    "llama-odd-tiny": (dict(COMMON, model_type="llama", vocab_size=83, hidden_size=45, intermediate_size=33,
                            num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=1, head_dim=14,
                            attention_bias=True, mlp_bias=False, rms_norm_eps=1e-5, rope_theta=1000000.0,
                            rope_scaling={"type": "linear", "factor": 4.0}, tie_word_embeddings=False,
                            torch_dtype="float16"),
                       {"dtypes": ["F16"]}),
}
PROMPT_TOKENS = (1, 7, 33, 130, 300)


def encode(values, dtype):
    values = np.asarray(values)
    if dtype == "BF16":  # round to nearest, ties to even
        bits = values.astype("<f4").view("<u4").astype(np.uint64)
        data = (bits + 0x7fff + (bits >> 16 & 1) >> 16).astype("<u2")
    else:
        data = values.astype({"F32": "<f4", "F16": "<f2", "I32": "<i4"}[dtype])
    return dtype, values.shape, data.tobytes()


def quantise(values):
    """FP8 codes and 128x128 block scales, amax / 448."""
    positive = reference.E4M3[:127]
    scales = np.zeros([math.ceil(n / 128) for n in values.shape])
    codes = np.zeros(values.shape, np.uint8)
    for i, j in np.ndindex(*scales.shape):
        block = np.s_[128 * i:128 * i + 128, 128 * j:128 * j + 128]
        scales[i, j] = np.float32(np.abs(values[block]).max() / 448)
        scaled = values[block] / scales[i, j]
        nearest = np.searchsorted((positive[1:] + positive[:-1]) / 2, np.minimum(np.abs(scaled), 448))
        codes[block] = nearest | np.where(scaled < 0, 0x80, 0)
    return ("F8_E4M3", codes.shape, codes.tobytes()), encode(scales, "F32")


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


def random_tensors(config, options, rng):
    tensors = {}
    model = reference.Model(config, None)
    width, heads = config["hidden_size"], config["num_attention_heads"]

    def next_dtype():
        return options["dtypes"][len(tensors) % len(options["dtypes"])]

    def matrix(name, n_out, n_in, gain=1.5, fp8=True):
        values = rng.standard_normal((n_out, n_in)) * gain / math.sqrt(n_in)
        if fp8 and options.get("fp8") and len(tensors) % 2 == 0:
            spread = 10.0 ** rng.uniform(-0.4, 0.4, [math.ceil(n / 128) for n in values.shape])  # a wrong scale shows
            values *= spread.repeat(128, 0).repeat(128, 1)[:n_out, :n_in]
            tensors[name + ".weight"], tensors[name + ".weight_scale_inv"] = quantise(values)
        else:
            tensors[name + ".weight"] = encode(values, next_dtype())

    def vector(name, n, mean=1.0, deviation=0.2, dtype=None):
        tensors[name] = encode(mean + deviation * rng.standard_normal(n), dtype or next_dtype())

    def bias(name, n):
        vector(name + ".bias", n, 0.0, 0.5)

    def mlp(at, inner):
        matrix(at + "gate_proj", inner, width)
        matrix(at + "up_proj", inner, width)
        matrix(at + "down_proj", width, inner, 2.0)

    def mla(at):
        nope, rope, v = config["qk_nope_head_dim"], config["qk_rope_head_dim"], config["v_head_dim"]
        rank, q_rank, biases = config["kv_lora_rank"], config["q_lora_rank"], config.get("attention_bias")
        if q_rank:
            matrix(at + "q_a_proj", q_rank, width)
            vector(at + "q_a_layernorm.weight", q_rank)
            matrix(at + "q_b_proj", heads * (nope + rope), q_rank, 2.0)
        else:
            matrix(at + "q_proj", heads * (nope + rope), width, 2.0)
        matrix(at + "kv_a_proj_with_mqa", rank + rope, width)
        vector(at + "kv_a_layernorm.weight", rank)
        matrix(at + "kv_b_proj", heads * (nope + v), rank)
        matrix(at + "o_proj", width, heads * v)
        if biases:
            bias(at + "q_a_proj", q_rank)
            bias(at + "kv_a_proj_with_mqa", rank + rope)
            bias(at + "o_proj", width)

    def gqa(at):
        for name, n in (("q", heads), ("k", config["num_key_value_heads"]), ("v", config["num_key_value_heads"])):
            matrix(f"{at}{name}_proj", n * config["head_dim"], width)
            bias(f"{at}{name}_proj", n * config["head_dim"])
        matrix(at + "o_proj", width, heads * config["head_dim"])
        bias(at + "o_proj", width)

    def layer(index, is_moe):
        at = f"model.layers.{index}."
        vector(at + "input_layernorm.weight", width)
        vector(at + "post_attention_layernorm.weight", width)
        (mla if model.mla else gqa)(at + "self_attn.")
        if not is_moe:
            return mlp(at + "mlp.", config["intermediate_size"])
        n_experts, inner = config["n_routed_experts"], config["moe_intermediate_size"]
        matrix(at + "mlp.gate", n_experts, width, 1.2, fp8=False)
        if model.v3:
            vector(at + "mlp.gate.e_score_correction_bias", n_experts, 0.1, 0.15, options["bias_dtype"])
        for expert in range(n_experts):
            mlp(f"{at}mlp.experts.{expert}.", inner)
        if config["n_shared_experts"]:
            mlp(at + "mlp.shared_experts.", inner * config["n_shared_experts"])

    matrix("model.embed_tokens", config["vocab_size"], width, 0.6 * math.sqrt(width))
    for index in range(config["num_hidden_layers"]):
        layer(index, model.is_moe(index))
    vector("model.norm.weight", width)
    if not config["tie_word_embeddings"]:
        matrix("lm_head", config["vocab_size"], width, 2.5, fp8=False)
    if config.get("num_nextn_predict_layers"):
        at = f"model.layers.{config['num_hidden_layers']}."
        for name in ("enorm", "hnorm", "shared_head.norm"):
            vector(f"{at}{name}.weight", width)
        matrix(at + "eh_proj", width, 2 * width, fp8=False)
        layer(config["num_hidden_layers"], True)
    return tensors


def goldens(model, rng):
    """The golden tensors, and the least gap of a greedy choice."""
    golden, least_gap = {}, math.inf
    for i, n in enumerate(PROMPT_TOKENS):
        ids = rng.integers(0, model.config["vocab_size"], n)
        logits, hidden, normed, experts = model.forward(ids)
        golden[f"prompt.{i}.ids"] = encode(ids, "I32")
        if n <= 33:
            golden[f"prompt.{i}.logits"] = encode(logits, "F32")
        golden[f"prompt.{i}.logits_last"] = encode(logits[-1], "F32")
        if i in (1, 2):
            sequence, gaps = list(ids), []
            for _ in range(16):
                last = model.forward(np.array(sequence))[0][-1]
                best = np.argsort(-last)[:2]
                gaps.append(last[best[0]] - last[best[1]])
                sequence.append(best[0])
            golden[f"greedy.{i}.ids"] = encode(sequence[-16:], "I32")
            golden[f"greedy.{i}.gap"] = encode(gaps, "F32")
            least_gap = min(least_gap, min(gaps))
        if i == 2:
            for k, h in enumerate(hidden):
                golden[f"hidden.{k}"] = encode(h, "F32")
            golden["hidden.final_norm"] = encode(normed, "F32")
            for layer, (chosen, weights) in experts.items():
                golden[f"moe.{layer}.ids"], golden[f"moe.{layer}.weights"] = encode(chosen, "I32"), encode(weights, "F32")
            if model.get("num_nextn_predict_layers"):
                next_ids = np.append(ids[1:], logits[-1].argmax())
                draft, last_hidden = model.mtp(normed, next_ids)
                golden["mtp.ids_next"], golden["mtp.logits"] = encode(next_ids, "I32"), encode(draft, "F32")
                golden["mtp.hidden"] = encode(last_hidden, "F32")
    return golden, least_gap


def main(out):
    for name, (config, options) in MODELS.items():
        for seed in range(100):
            tensors = random_tensors(config, options, np.random.default_rng(seed))
            model = reference.Model(config, reference.Weights(tensors))
            golden, gap = goldens(model, np.random.default_rng(seed + 1000))
            if gap > 5e-3 and model.margin > 5e-5:
                break
        folder = os.path.join(out, name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "config.json"), "w") as file:
            file.write(json.dumps(config, indent=2) + "\n")
        n_shards = options.get("shards", 1)
        if n_shards == 1:
            write_safetensors(os.path.join(folder, "model.safetensors"), tensors)
        else:
            shard_of = {tensor: f"model-{i % n_shards + 1:05d}-of-{n_shards:06d}.safetensors"
                        for i, tensor in enumerate(sorted(tensors))}  # scales are then never beside their weights
            for shard in sorted(set(shard_of.values())):
                write_safetensors(os.path.join(folder, shard), {k: v for k, v in tensors.items() if shard_of[k] == shard})
            index = {"metadata": {"total_size": sum(len(data) for _, _, data in tensors.values())}, "weight_map": shard_of}
            with open(os.path.join(folder, "model.safetensors.index.json"), "w") as file:
                file.write(json.dumps(index, indent=2) + "\n")
        write_safetensors(os.path.join(folder, "golden.safetensors"), golden)
        n_bytes = sum(os.path.getsize(os.path.join(folder, file)) for file in os.listdir(folder))
        print(f"{name}: seed {seed}, {n_bytes} bytes, least greedy gap {gap:.3f}, routing margin {model.margin:.1e}")


if __name__ == "__main__":
    main(sys.argv[1])
