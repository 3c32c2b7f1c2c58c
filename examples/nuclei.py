"""StarDist on demand: nuclei are segmented where somebody looks, block by block, with a halo of 10 pixels.

The raw image, the one that comes with stardist, is a source; the labels are predicted from it by a
network that each worker that computes them loads once, and at most two workers do (slots).

stardist's pretrained networks are downloads. This example trains a small one of its own instead, on three
quarters of the shipped image, in some minutes, and keeps it in your cache:

    python3 -m venv stardist && stardist/bin/pip install stardist tensorflow-cpu 'numpy<2' 'ml-dtypes<0.6'
    stardist/bin/python examples/nuclei.py               # trains, once
    lazarr serve examples/nuclei.py --python $PWD/stardist

An object's label is the pixel of its centre, so blocks that see the same object mostly agree on it. Where
an object is larger than the halo, they may see two different ones: with a halo of 48 they hardly do.
"""
import functools
import os

import numpy as np

HALO = 10
CHUNK = 128
FOLDER = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "lazarr-nuclei-1")


def quiet():
    """TensorFlow with one thread for each worker, and without its greetings."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


@functools.cache
def image():
    """uint16, 512 × 512: fluorescent nuclei, stardist's own test image."""
    quiet()
    from stardist.data import test_image_nuclei_2d
    return test_image_nuclei_2d()


@functools.cache
def limits():
    """What is black and what is white, of the whole image: a block of its own would have others."""
    low, high = np.percentile(image(), (1, 99.8))
    return float(low), float(high)


def normalised(pixels):
    low, high = limits()
    return ((pixels.astype("float32") - low) / (high - low)).astype("float32")


@functools.cache
def model():
    """The network, loaded once in each process that computes labels."""
    quiet()
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from stardist.models import StarDist2D
    if not os.path.exists(os.path.join(FOLDER, "nuclei", "weights_best.h5")):
        raise FileNotFoundError(f"there is no network in {FOLDER} yet: run this file with Python to train one")
    return StarDist2D(None, name="nuclei", basedir=FOLDER)


def segment(pixels, origin, shape):
    """Labels of a part of the image whose first pixel is `origin`: the centre's row × width + column + 1.
    What has its centre outside of the image is no object."""
    labels, found = model().predict_instances(normalised(pixels), prob_thresh=0.5, nms_thresh=0.4,
                                              show_tile_progress=False, verbose=False)
    centres = np.asarray(found["points"]).reshape(-1, 2).astype("int64") + origin
    inside = ((centres >= 0) & (centres < shape)).all(axis=1)
    names = np.where(inside, centres[:, 0] * shape[1] + centres[:, 1] + 1, 0)
    return np.concatenate([[0], names])[labels]


def store():
    import lazarr

    raw = lazarr.source("raw", image, axes="yx", chunks=CHUNK, levels=3)

    @lazarr.array(inputs=[raw], halo=HALO, boundary="reflect", dtype="uint32", kind="labels", labels_of=raw,
                  pyramid="mode", slots=2)
    def nuclei(block, pixels):
        return segment(pixels, np.array(block.start) - HALO, raw.shape)

    return raw, nuclei


def train(epochs=60):
    """Trains a small network on the shipped image and its mask; the last quarter is for validation."""
    quiet()
    from stardist import fill_label_holes
    from stardist.data import test_image_nuclei_2d
    from stardist.models import Config2D, StarDist2D
    _, mask = test_image_nuclei_2d(return_mask=True)
    pixels, mask = normalised(image()), fill_label_holes(mask)
    rng = np.random.default_rng(0)

    def turn(x, y):
        k, flip = int(rng.integers(4)), bool(rng.integers(2))
        x, y = np.rot90(x, k), np.rot90(y, k)
        if flip:
            x, y = x[:, ::-1], y[:, ::-1]
        return x * rng.uniform(0.7, 1.4) + rng.uniform(-0.1, 0.1), y

    parts = [np.s_[:256, :256], np.s_[:256, 256:], np.s_[256:, :256]]
    last = np.s_[256:, 256:]
    config = Config2D(n_rays=32, grid=(2, 2), n_channel_in=1, unet_n_depth=3, unet_n_filter_base=16,
                      net_conv_after_unet=64, train_patch_size=(128, 128), train_batch_size=4,
                      train_epochs=epochs, train_steps_per_epoch=24, train_learning_rate=1e-3,
                      train_tensorboard=False)
    net = StarDist2D(config, name="nuclei", basedir=FOLDER)
    net.train([pixels[p] for p in parts], [mask[p] for p in parts],
              validation_data=([pixels[last]], [mask[last]]), augmenter=turn)  # keeps the best weights
    print(f"trained: {os.path.join(FOLDER, 'nuclei')}")


if __name__ == "__main__":
    train()
else:
    raw, nuclei = store()
