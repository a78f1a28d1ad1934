"""What a metric may ask for: a fitted model and its data, all that is heavy computed once, on demand."""

from zoo.evaluation.subject.clusters import Clusters
from zoo.evaluation.subject.code import Coded
from zoo.evaluation.subject.damage import Damaged
from zoo.evaluation.subject.likelihood import Likely


class Subject(Clusters, Coded, Damaged, Likely):
    """A fitted model under evaluation. Each public property is a name that a metric may use as a parameter.

    The properties stand in one class per kind of question, all over `Basis`: images, codes, reconstructions, labels.
    Everything lies on the CPU but the model, `batch` and `image`, which lie where the model does.
    """
