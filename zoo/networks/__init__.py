"""Networks: builders of (encoder, decoder), each satisfying `zoo.types.Network`."""
