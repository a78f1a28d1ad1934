"""The model: an autoencoder and the parts that it is built from."""
