"""MNIST: 70,000 images of handwritten digits, 28 x 28 pixels."""

from __future__ import annotations

from proplim.datasets.sources._collection import Collection, CollectionSettings, register_collection
from proplim.datasets.sources._idx import idx_parts


class MnistSettings(CollectionSettings):
    """MNIST, 28 x 28 pixels."""


register_collection(
    Collection(
        name="mnist",
        title="MNIST",
        base_url="https://ossci-datasets.s3.amazonaws.com/mnist/",
        files={
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
        parts=idx_parts,
    ),
    settings=MnistSettings,
    n_features=784,
)
