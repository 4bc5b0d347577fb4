"""The forward pass of DeepSeek V2/V3, Qwen2 and Llama in float64 numpy, written from the published formulas and sharing
nothing with the library: expanded attention, one whole prompt, no cache. Slow and plain on purpose.

    reference_forward.py FOLDER ...    compares each checkpoint with the golden.safetensors beside it
"""
import json
import math
import os
import struct
import sys

import numpy as np


# ---- files

def e4m3_values():
    """e4m3fn: bias 7, no infinity, 0x7f and 0xff are NaN."""
    values = np.zeros(256)
    for code in range(256):
        exponent, mantissa = code >> 3 & 15, code & 7
        if exponent == 15 and mantissa == 7:
            value = math.nan
        elif exponent == 0:
            value = mantissa * 2.0 ** -9
        else:
            value = (1 + mantissa / 8) * 2.0 ** (exponent - 7)
        values[code] = -value if code & 0x80 else value
    return values


E4M3 = e4m3_values()


def read_safetensors(path):
    """{name: (dtype, shape, bytes)}"""
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            tensors[name] = (entry["dtype"], tuple(entry["shape"]), data[8 + size + begin:8 + size + end])
    return tensors


def decode(tensor):
    dtype, shape, data = tensor
    if dtype == "BF16":
        values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    elif dtype == "F8_E4M3":
        values = E4M3[np.frombuffer(data, np.uint8)]
    else:
        values = np.frombuffer(data, {"F32": "<f4", "F16": "<f2", "I32": "<i4"}[dtype])
    return values.reshape(shape).astype(np.int64 if dtype == "I32" else np.float64)


class Weights:
    """Tensors by name, dequantised: W[i, j] = q[i, j] * scale_inv[i / 128, j / 128]."""

    def __init__(self, tensors):
        self.tensors, self.decoded = tensors, {}

    def __contains__(self, name):
        return name in self.tensors

    def __call__(self, name):
        if name not in self.decoded:
            values = decode(self.tensors[name])
            if self.tensors[name][0] == "F8_E4M3":
                scales = decode(self.tensors[name + "_scale_inv"])
                values = values * scales.repeat(128, 0).repeat(128, 1)[:values.shape[0], :values.shape[1]]
            self.decoded[name] = values
        return self.decoded[name]


def load(folder):
    config = json.load(open(os.path.join(folder, "config.json")))
    index = os.path.join(folder, "model.safetensors.index.json")
    if not os.path.exists(index):
        return config, Weights(read_safetensors(os.path.join(folder, "model.safetensors")))
    weight_map = json.load(open(index))["weight_map"]
    shards = {name: read_safetensors(os.path.join(folder, name)) for name in set(weight_map.values())}
    return config, Weights({name: shards[shard][name] for name, shard in weight_map.items()})


# ---- the model

def rms_norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def silu(x):
    return x / (1 + np.exp(-x))


LORA_NORM_EPS = 1e-6  # of q_a_layernorm and kv_a_layernorm, whatever rms_norm_eps is


class Model:
    def __init__(self, config, weights):
        self.config, self.weights = config, weights
        self.kind = config.get("model_type") or config["architectures"][0]
        self.v3, self.qwen = self.kind == "deepseek_v3", self.kind == "qwen2"
        self.mla = self.kind in ("deepseek_v2", "deepseek_v3")
        self.heads, self.n_layers = config["num_attention_heads"], config["num_hidden_layers"]
        self.eps = config["rms_norm_eps"]
        self.margin = math.inf  # least distance between a chosen and a dropped expert or group so far
        self.set_rope()

    def get(self, key, absent=None):
        value = self.config.get(key)
        return absent if value is None else value

    def set_rope(self):
        scaling = self.get("rope_scaling") or self.get("rope_parameters") or {}
        base = scaling.get("rope_theta", self.get("rope_theta", 10000.0))
        kind = scaling.get("rope_type", scaling.get("type", "default"))
        n = self.config["qk_rope_head_dim"] if self.mla else \
            self.get("head_dim", self.config["hidden_size"] // self.heads)
        self.head_dim, self.cos_sin_factor = n, 1.0
        self.scale = (n + self.config["qk_nope_head_dim"] if self.mla else n) ** -0.5
        i = np.arange(n // 2)
        f = base ** (-2.0 * i / n)
        if kind == "yarn":
            factor, original = scaling["factor"], scaling["original_max_position_embeddings"]

            def correction(rotations):
                return n * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(base))

            def m(scale):
                return 1.0 if factor <= 1 else 0.1 * scale * math.log(factor) + 1

            low = max(math.floor(correction(scaling.get("beta_fast", 32))), 0)
            high = min(math.ceil(correction(scaling.get("beta_slow", 1))), n - 1)
            ramp = np.clip((i - low) / (high - low if high != low else 0.001), 0, 1)
            f = f / factor * ramp + f * (1 - ramp)
            all_dim = scaling.get("mscale_all_dim", 0)
            self.cos_sin_factor = m(scaling.get("mscale", 1)) / m(all_dim)
            if all_dim:
                self.scale *= m(all_dim) ** 2
        elif kind == "llama3":
            original = scaling["original_max_position_embeddings"]
            low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
            wavelength = 2 * math.pi / f
            t = (original / wavelength - low) / (high - low)
            f = np.where(wavelength < original / high, f,
                         np.where(wavelength > original / low, f / scaling["factor"],
                                  (1 - t) * f / scaling["factor"] + t * f))
        elif kind == "linear":
            f = f / scaling["factor"]
        elif kind != "default":
            raise ValueError(kind)
        self.frequencies = f

    def rope(self, x):
        """x [..., n_tokens, head_dim]: interleaved pairs for MLA, halves for the dense families."""
        angle = np.arange(x.shape[-2])[:, None] * self.frequencies
        cos, sin = np.cos(angle) * self.cos_sin_factor, np.sin(angle) * self.cos_sin_factor
        half = x.shape[-1] // 2
        first = np.s_[..., 0::2] if self.mla else np.s_[..., :half]
        second = np.s_[..., 1::2] if self.mla else np.s_[..., half:]
        y = np.empty_like(x)
        y[first] = x[first] * cos - x[second] * sin
        y[second] = x[second] * cos + x[first] * sin
        return y

    def linear(self, x, name, bias=False):
        y = x @ self.weights(name + ".weight").T
        return y + self.weights(name + ".bias") if bias else y

    def attend(self, q, k, v):
        """[heads, n_tokens, dim] each -> [n_tokens, heads * v dim]"""
        scores = np.einsum("htd,hud->htu", q, k) * self.scale
        scores = np.where(np.tril(np.ones(scores.shape[1:], bool)), scores, -np.inf)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        out = np.einsum("htu,hud->htd", p / p.sum(-1, keepdims=True), v)
        return out.transpose(1, 0, 2).reshape(len(out[0]), -1)

    def attention(self, x, at):
        def per_head(y, heads):
            return y.reshape(len(x), heads, -1).transpose(1, 0, 2)

        if not self.mla:
            kv_heads = self.get("num_key_value_heads", self.heads)
            bias = self.qwen or self.get("attention_bias", False)
            q, k, v = (per_head(self.linear(x, f"{at}{name}_proj", bias), heads)
                       for name, heads in (("q", self.heads), ("k", kv_heads), ("v", kv_heads)))
            k, v = (y.repeat(self.heads // kv_heads, 0) for y in (self.rope(k), v))
            return self.linear(self.attend(self.rope(q), k, v), at + "o_proj", bias and not self.qwen)

        nope, rank, bias = self.config["qk_nope_head_dim"], self.config["kv_lora_rank"], self.get("attention_bias", False)
        if self.get("q_lora_rank"):
            q = self.linear(x, at + "q_a_proj", bias)
            q = self.linear(rms_norm(q, self.weights(at + "q_a_layernorm.weight"), LORA_NORM_EPS), at + "q_b_proj")
        else:
            q = self.linear(x, at + "q_proj")
        q = per_head(q, self.heads)
        latent = self.linear(x, at + "kv_a_proj_with_mqa", bias)
        c = rms_norm(latent[:, :rank], self.weights(at + "kv_a_layernorm.weight"), LORA_NORM_EPS)
        rotated = self.rope(latent[:, rank:])
        kv = per_head(self.linear(c, at + "kv_b_proj"), self.heads)
        q = np.concatenate([q[..., :nope], self.rope(q[..., nope:])], -1)
        k = np.concatenate([kv[..., :nope], np.broadcast_to(rotated, (self.heads, *rotated.shape))], -1)
        return self.linear(self.attend(q, k, kv[..., nope:]), at + "o_proj", bias)

    def mlp(self, x, at):
        gate, up = self.linear(x, at + "gate_proj"), self.linear(x, at + "up_proj")
        return self.linear(silu(gate) * up, at + "down_proj")

    def largest(self, values, k):
        """Indices of the k largest per row; notes the margin."""
        order = np.argsort(-values, -1, kind="stable")
        ranked = np.take_along_axis(values, order, -1)
        if k < values.shape[-1]:
            gaps = ranked[:, k - 1] - ranked[:, k]
            self.margin = min(self.margin, gaps.min())
        return order[:, :k]

    def moe(self, x, at):
        n_experts, top_k = self.config["n_routed_experts"], self.config["num_experts_per_tok"]
        method = self.get("topk_method", "noaux_tc" if self.v3 else "greedy")
        g = x @ self.weights(at + "gate.weight").T
        if method == "noaux_tc":
            p = 1 / (1 + np.exp(-g))
            choice = p + self.weights(at + "gate.e_score_correction_bias")
        else:
            p = np.exp(g - g.max(-1, keepdims=True))
            p = choice = p / p.sum(-1, keepdims=True)
        if method != "greedy":
            n_group = self.config["n_group"]
            members = choice.reshape(len(x), n_group, -1)
            score = np.sort(members, -1)[..., -2:].sum(-1) if method == "noaux_tc" else members.max(-1)
            kept = np.zeros((len(x), n_group), bool)
            np.put_along_axis(kept, self.largest(score, self.config["topk_group"]), True, -1)
            choice = np.where(kept.repeat(n_experts // n_group, 1), choice, -np.inf)
        ids = np.sort(self.largest(choice, top_k), -1)
        w = np.take_along_axis(p, ids, -1)
        normalise, factor = self.get("norm_topk_prob", self.v3), self.get("routed_scaling_factor", 2.5 if self.v3 else 1.0)
        if normalise and (self.v3 or top_k > 1):
            w = w / (w.sum(-1, keepdims=True) + 1e-20)
        if self.v3 or not (normalise and top_k > 1):
            w = w * factor
        y = np.zeros_like(x)
        for expert in range(n_experts):
            rows, places = np.nonzero(ids == expert)
            y[rows] += w[rows, places][:, None] * self.mlp(x[rows], f"{at}experts.{expert}.")
        if self.get("n_shared_experts"):
            y += self.mlp(x, at + "shared_experts.")
        return y, ids, w

    def is_moe(self, layer):
        return bool(self.get("n_routed_experts")) and layer >= self.get("first_k_dense_replace", 3 if self.v3 else 0) \
            and layer % self.get("moe_layer_freq", 1) == 0

    def layer(self, h, layer, is_moe):
        at = f"model.layers.{layer}."
        h = h + self.attention(rms_norm(h, self.weights(at + "input_layernorm.weight"), self.eps), at + "self_attn.")
        x = rms_norm(h, self.weights(at + "post_attention_layernorm.weight"), self.eps)
        if is_moe:
            y, ids, w = self.moe(x, at + "mlp.")
            return h + y, (ids, w)
        return h + self.mlp(x, at + "mlp."), None

    def embedding(self):
        return self.weights("model.embed_tokens.weight")

    def head(self):
        return self.embedding() if self.get("tie_word_embeddings", False) else self.weights("lm_head.weight")

    def forward(self, ids):
        """logits, [residual stream before layer 0, 1, ..., after the last], after model.norm, {layer: (ids, weights)}"""
        h = self.embedding()[ids]
        hidden, experts = [h], {}
        for layer in range(self.n_layers):
            h, chosen = self.layer(h, layer, self.is_moe(layer))
            hidden.append(h)
            if chosen:
                experts[layer] = chosen
        normed = rms_norm(h, self.weights("model.norm.weight"), self.eps)
        return normed @ self.head().T, hidden, normed, experts

    def mtp(self, normed, next_ids):
        """MTP layer on the main model's hidden states after model.norm: draft logits, hidden before shared_head.norm"""
        at = f"model.layers.{self.n_layers}."
        own = at + "embed_tokens.weight"
        e = (self.weights(own) if own in self.weights else self.embedding())[next_ids]
        x = np.concatenate([rms_norm(e, self.weights(at + "enorm.weight"), self.eps),
                            rms_norm(normed, self.weights(at + "hnorm.weight"), self.eps)], -1)
        x, _ = self.layer(x @ self.weights(at + "eh_proj.weight").T, self.n_layers, True)
        own = at + "shared_head.head.weight"
        head = self.weights(own) if own in self.weights else self.head()
        return rms_norm(x, self.weights(at + "shared_head.norm.weight"), self.eps) @ head.T, x


def main(folders):
    for folder in folders:
        model = Model(*load(folder))
        golden = {k: decode(v) for k, v in read_safetensors(os.path.join(folder, "golden.safetensors")).items()}
        worst = 0.0

        def compare(name, values, tolerance=2e-4):
            nonlocal worst
            if name in golden:
                worst = max(worst, (np.abs(values - golden[name]) / (tolerance + tolerance * np.abs(golden[name]))).max())

        for i in range(9):
            if f"prompt.{i}.ids" not in golden:
                continue
            logits, hidden, normed, experts = model.forward(golden[f"prompt.{i}.ids"])
            compare(f"prompt.{i}.logits", logits)
            compare(f"prompt.{i}.logits_last", logits[-1])
            if i != 2:
                continue
            compare("hidden.final_norm", normed)
            for k, h in enumerate(hidden):
                compare(f"hidden.{k}", h)
            for layer, (ids, weights) in experts.items():
                assert (ids == golden[f"moe.{layer}.ids"]).all()
                compare(f"moe.{layer}.weights", weights, 1e-4)
            if "mtp.logits" in golden:
                draft, last = model.mtp(normed, golden["mtp.ids_next"])
                compare("mtp.logits", draft)
                compare("mtp.hidden", last)
        print(f"{folder}: {worst:.3f} of the tolerance, routing margin {model.margin:.1e}")


if __name__ == "__main__":
    main(sys.argv[1:])
