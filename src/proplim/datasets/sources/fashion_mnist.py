"""Fashion-MNIST: 70,000 images of clothes, 28 x 28 pixels."""

from __future__ import annotations

from proplim.datasets.sources._collection import Collection, CollectionSettings, register_collection
from proplim.datasets.sources._idx import idx_parts


class FashionMnistSettings(CollectionSettings):
    """Fashion-MNIST, 28 x 28 pixels."""


register_collection(
    Collection(
        name="fashion_mnist",
        title="Fashion-MNIST",
        base_url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        files={
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
        parts=idx_parts,
    ),
    settings=FashionMnistSettings,
    n_features=784,
)
