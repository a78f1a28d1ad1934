"""How well labels can be predicted from codes where few samples are labelled.

A probe is fitted to 1, 10 or 100 labelled training samples of each class. The value is the mean over 20 draws of these
samples, which are the same for every model. The bootstrap interval is over test samples; it leaves out the variation
between draws.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from zoo.evaluation.measures.linear_probe import few_label_probe
from zoo.evaluation.registry import Curve, metric

GROUP, UNIT = "label_efficiency", "fraction"
SHOWN = 10  # labels a class of the reference's value


@metric(GROUP, UNIT, "higher")
def few_label_accuracy_1(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor, test_labels: Tensor) -> Tensor:
    """Accuracy on test samples of a linear probe fitted to the codes of 1 labelled training sample of each class.

        1/20 sum_k 1/N sum_n [argmax_c (W_k z_n + b_k)_c = y_n], W_k and b_k fitted to draw k, y_n the label

    For all metrics `few_label_accuracy_*`: logistic regression as for linear_probe_accuracy, but with the fixed penalty
    C = 0.1, because no labels are left to choose it; mean over 20 draws of the labelled samples.

    Misleads: with one labelled sample of each class, the choice of the sample matters more than the code, and close
    values are noise: intervals and marks are over test samples, and leave out the choice. Units that hardly vary, and
    copies of a unit, count: the mean variance of a unit is scaled to 1, so more of them weaken the penalty.

    Args:
        train_codes: (M, D); mean and scale are taken from all of them.
        train_labels: (M,); only those of drawn samples are used.
        test_codes: (N, D).
        test_labels: (N,).

    Returns:
        (N,), the fraction of draws in which a test sample's label was predicted.

    Raises:
        NotApplicable: all training samples have one label, or a class has fewer training samples.
    """
    return few_label_probe(train_codes, train_labels, test_codes, test_labels, 1)


@metric(GROUP, UNIT, "higher")
def few_label_accuracy_10(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor, test_labels: Tensor) -> Tensor:
    """Accuracy on test samples of a linear probe fitted to the codes of 10 labelled training samples of each class.

        1/20 sum_k 1/N sum_n [argmax_c (W_k z_n + b_k)_c = y_n], W_k and b_k fitted to draw k, y_n the label

    Arguments, result and errors are those of few_label_accuracy_1.

    Misleads: the penalty is fixed, so codes that need a weaker or stronger one score lower than they could.
    """
    return few_label_probe(train_codes, train_labels, test_codes, test_labels, 10)


@metric(GROUP, UNIT, "higher")
def few_label_accuracy_100(
    train_codes: Tensor, train_labels: Tensor, test_codes: Tensor, test_labels: Tensor
) -> Tensor:
    """Accuracy on test samples of a linear probe fitted to the codes of 100 labelled training samples of each class.

        1/20 sum_k 1/N sum_n [argmax_c (W_k z_n + b_k)_c = y_n], W_k and b_k fitted to draw k, y_n the label

    Arguments, result and errors are those of few_label_accuracy_1.

    Misleads: the penalty is fixed, so codes that need a weaker or stronger one score lower than they could; with this
    many labels, wide codes are at an advantage.
    """
    return few_label_probe(train_codes, train_labels, test_codes, test_labels, 100)


@metric(GROUP, UNIT, "none")
def few_label_accuracy_of_pixels(few_label_pixel_probes: Mapping[int, Tensor]) -> Curve:
    """Accuracy of the probe on the samples' own values with 10 labels per class: a reference, the same for every model.

        1/20 sum_k 1/N sum_n [argmax_c (W_k x_n + b_k)_c = y_n], W_k and b_k fitted to draw k, y_n the label

    The curve has 1, 10 and 100 labels a class, as far as each class has so many training samples.

    Misleads: it describes the data set, not a model.

    Args:
        few_label_pixel_probes: {labels a class: (N,), the fraction of draws in which a test sample's label was
            predicted}; from 1 on.
    """
    accuracy = {count: found.mean().item() for count, found in few_label_pixel_probes.items()}
    table: dict[str, list[float] | list[str]] = {
        "labels a class": [float(count) for count in accuracy],
        "accuracy": list(accuracy.values()),
    }
    reason = "" if SHOWN in accuracy else f"a class has fewer than {SHOWN} training samples"
    return Curve(accuracy.get(SHOWN), table, len(few_label_pixel_probes[1]), reason)
