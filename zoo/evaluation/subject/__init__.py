"""What a metric may use of a fitted model and its data; everything heavy is computed once, on first use."""

from zoo.evaluation.subject.across_seeds import AcrossSeeds
from zoo.evaluation.subject.between_codes import BetweenCodes
from zoo.evaluation.subject.clustered import Clustered
from zoo.evaluation.subject.corrupted import Corrupted
from zoo.evaluation.subject.dictionary_atoms import DictionaryAtoms
from zoo.evaluation.subject.factored import Factored
from zoo.evaluation.subject.quantised import Quantised
from zoo.evaluation.subject.termed import Termed
from zoo.evaluation.subject.unusual import Unusual
from zoo.evaluation.subject.variational import Variational
from zoo.evaluation.subject.vocabulary import Vocabulary


class Subject(
    AcrossSeeds,
    BetweenCodes,
    Clustered,
    Corrupted,
    DictionaryAtoms,
    Factored,
    Termed,
    Unusual,
    Variational,
    Vocabulary,
    Quantised,
):
    """A fitted model under evaluation. Each public property is a name that a metric may use as a parameter.

    The properties stand in one class per topic, all derived from `Encoded`: images, codes, reconstructions, labels.
    All tensors lie on the CPU except `batch` and `image`, which lie on the model's device.
    """
