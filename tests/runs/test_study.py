"""Studies: which runs they stand for, and that one failure stops no other."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import names_its_data
from zoo.cli import main
from zoo.errors import ZooError
from zoo.runs import engines
from zoo.runs import study as running
from zoo.runs.compose import composed, composing, product
from zoo.runs.engines import Workers
from zoo.runs.job import Job
from zoo.runs.records import read_record
from zoo.runs.single import run_one
from zoo.runs.study import attempt, own_folder, together
from zoo.runs.trials import Pruned
from zoo.runs.versions import needed

REPOSITORY = Path(__file__).parents[2]
TINY = """
table:
  - [data=digits, "variant=pca,svd", "width=4,65"]
figures:
  - [data=digits, "variant=pca", "width=4,5"]
"""


@pytest.fixture
def study(tmp_path):
    """Arguments that name a study of runs, among them such that cannot be: 65 components of 64 pixels."""
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "tiny.yaml").write_text(TINY)
    return f"--config-dir={tmp_path / 'conf'}", "study=tiny", "evaluation.groups=[reconstruction]"


@pytest.fixture
def records(tmp_path):
    def read():
        found = [read_record(path) for path in (tmp_path / "outputs" / "records").rglob("*.json")]
        return sorted((record.variant, record.width) for record in found)

    return read


DONE = [("pca", 4), ("pca", 5), ("svd", 4)]


@pytest.mark.slow
def test_a_failing_run_stops_no_other_and_the_status_tells(study, process, command, records):
    outcome = process(*study, "processes=2")
    assert outcome.status == 1, outcome.said
    assert records() == DONE
    assert "5 runs, 0 of them done before, 5 to run" in outcome.said
    assert re.search(r"^error: 2 of 5 runs failed:$", outcome.said, flags=re.M)
    for variant in ("pca", "svd"):
        failure = rf"^  {variant} width 65 seed 0: width=65: 1293 training samples .* smaller width$"
        assert re.search(failure, outcome.said, flags=re.M), outcome.said
    assert "outputs/tiny/benchmark.md" in outcome.said
    assert "Traceback" not in outcome.said

    again = command(*study, "processes=1")
    assert again.status == 1
    assert "5 runs, 3 of them done before, 2 to run" in again.said
    assert records() == DONE


def test_what_the_command_line_says_goes_for_every_run(study, command, records, tmp_path):
    """With one width for all, the runs of a sweep coincide; each is run and reported once."""
    outcome = command(*study, "processes=1", "width=3")
    assert outcome.status == 0, outcome.said
    assert records() == [("pca", 3), ("svd", 3)]
    assert "2 runs, 0 of them done before, 2 to run" in outcome.said
    assert (tmp_path / "outputs" / "tiny" / "benchmark.csv").exists()


def test_a_study_that_cannot_report_tells_its_failures_first(study, command, tmp_path):
    outcome = command(*study, "processes=1", "width=65")
    assert outcome.status == 1
    told = outcome.said.index("error: 2 of 2 runs failed:")
    assert told < outcome.said.index("tiny: no records to report; fit something first")
    assert "width=65: 1293 training samples" in outcome.said[told:]


def test_results_that_cannot_be_written_are_told_before_the_first_run(study, command, records, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *arguments: False)  # for root, every folder is writable
    outcome = command(*study, "processes=1")
    assert outcome.status == 2
    assert re.search(r"^error: paths.results=\S+: nothing can be written to ", outcome.said, flags=re.M)
    assert records() == []


def test_a_worker_that_lacks_the_folder_of_the_study_works_in_its_own(compose_job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own_folder.cache_clear()
    places = [f"paths.{name}={name}" for name in ("results", "models")]
    job = compose_job("variant=pca", "data=digits", "evaluation.groups=[reconstruction]", *places)
    _, found = attempt(0, [job], needed(()), "/nowhere/at/all", True)
    assert [(one.seed, record.variant) for one, record in found] == [(0, "pca")]
    (folder,) = tmp_path.glob("zoo-*")
    assert len(list(folder.rglob("*.safetensors"))) == 1
    own_folder.cache_clear()


def test_sweeps_are_products_in_hydras_syntax(repository):
    variants = sorted(path.stem for path in (repository / "conf" / "variant").glob("*.yaml"))
    with composing():
        assert list(product(["variant=pca,vae", "seed=range(0,2)", "data=digits"])) == [
            ("variant=pca", "seed=0", "data=digits"),
            ("variant=pca", "seed=1", "data=digits"),
            ("variant=vae", "seed=0", "data=digits"),
            ("variant=vae", "seed=1", "data=digits"),
        ]
        assert [one for (one,) in product(["variant=glob(*)"])] == [f"variant={variant}" for variant in variants]
        for sweep, told in (
            ("variant=glob(zzz*)", r"variant=glob\(zzz\*\): matches no option"),
            ("seed=range(0,3,0)", r"seed=range\(0,3,0\): cannot be read as a sweep \(.*\); write key=a,b"),
            ("width=sort(8,a)", r"width=sort\(8,a\): cannot be read as a "),
            ("width=choice()", r"width=choice\(\): cannot be read as a "),
            ("width=int(8.9,a)", r"width=int\(8\.9,a\): cannot be read as a "),
        ):
            with pytest.raises(ZooError, match=told):
                product([sweep])


def test_a_run_of_a_study_is_the_run_alone(study_jobs):
    table, _ = study_jobs("digits")
    with composing():
        assert [job.seed for job in table[:3]] == [0, 1, 2]
        for job in table[::8]:
            said = ["data=digits", f"variant={job.variant}", f"seed={job.seed}", "trainer.progress=false"]
            alone = Job.of(composed("config", said))
            places = {name: getattr(alone, name) for name in ("results", "models", "features")}
            assert alone == replace(job, **places)


@pytest.mark.parametrize("seed", ["abc", "-1", "0.5", "True", str(2**32)])
def test_a_seed_that_is_none_is_refused(command, seed):
    for what in ("variant=pca", "study=digits"):
        outcome = command(what, f"seed={seed}")
        assert outcome.status == 2
        assert f"error: seed={seed}: a seed is a whole number, 0 or more and less than 4,294,967,296" in outcome.said


@pytest.fixture(params=sorted(path.stem for path in (REPOSITORY / "conf" / "study").glob("*.yaml")))
def written(request, study_jobs):
    """Every study there is: its name, the runs of its table, and those of its figures alone."""
    return request.param, *study_jobs(request.param)


def test_every_study_compares_on_one_data_set_each_row_once_per_seed(written):
    _, table, figures = written
    assert len({job.data for job in (*table, *figures)}) == 1
    assert len({job.record_path for job in table}) == len({(job.name, job.seed) for job in table}) == len(table)


def test_the_study_of_the_whole_zoo_runs_every_variant_with_three_seeds(written):
    """But those that are for other data than the digits."""
    name, table, _ = written
    variants = {path.stem for path in (REPOSITORY / "conf" / "variant").glob("*.yaml") if not names_its_data(path.stem)}
    if name == "zoo":
        assert {(job.variant, job.seed) for job in table} == {(v, seed) for v in variants for seed in (0, 1, 2)}
        assert {job.name for job in table} == variants


def test_a_study_on_two_data_sets_is_refused(tmp_path, command):
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "two.yaml").write_text("table: [['data=digits,mnist', variant=pca]]")
    outcome = command(f"--config-dir={tmp_path / 'conf'}", "study=two")
    assert outcome.status == 2
    assert "error: a study compares methods on one data set, this one has digits, mnist" in outcome.said


# Seeds fitted at once


def test_seeds_fitted_at_once_are_recorded_as_if_they_were_fitted_alone(tmp_path, command):
    (tmp_path / "conf" / "study").mkdir(parents=True)
    sweep = '["variant=linear_ae,vae,pca", "seed=0,1,2", budget.epochs=2, data=digits, trainer.progress=false]'
    (tmp_path / "conf" / "study" / "seeds.yaml").write_text(f"table: [{sweep}]")

    def run(stacked):
        arguments = (f"--config-dir={tmp_path / 'conf'}", "study=seeds", "evaluation.groups=[reconstruction]")
        outcome = command(*arguments, "processes=1", f"trainer.stacked={stacked}", "force=true")
        assert outcome.status == 0, outcome.said
        paths = (tmp_path / "outputs" / "records").rglob("*.json")
        return {(record.variant, record.seed): record for record in map(read_record, paths)}

    alone, stacked = run(1), run(2)
    assert alone.keys() == stacked.keys()
    assert len(alone) == 9
    for key, record in stacked.items():
        assert record.fit.get("stacked") == (2 if key in {("linear_ae", 0), ("linear_ae", 1)} else None)
        assert record.metrics["mse"]["value"] == pytest.approx(alone[key].metrics["mse"]["value"], rel=1e-4)
        assert record.fit["history"].keys() == alone[key].fit["history"].keys()
        assert "stacked" not in alone[key].fit
        assert (record.name, record.config, record.hash) == (alone[key].name, alone[key].config, alone[key].hash)
    assert len(list((tmp_path / "outputs" / "models").rglob("*.safetensors"))) == 9


def test_a_loss_that_is_no_number_is_told_of_each_seed(tmp_path, command):
    (tmp_path / "conf" / "study").mkdir(parents=True)
    sweep = '["variant=linear_ae", "seed=0,1", budget.epochs=1, data=digits, trainer.progress=false, optimizer.lr=1e18]'
    (tmp_path / "conf" / "study" / "seeds.yaml").write_text(f"table: [{sweep}, [variant=pca, data=digits]]")
    outcome = command(f"--config-dir={tmp_path / 'conf'}", "study=seeds", "processes=1", "trainer.stacked=2")
    assert "error: 2 of 3 runs failed" in outcome.said
    for seed in (0, 1):
        assert re.search(rf"^  linear_ae .* seed {seed}: epoch 1: .* not a finite number", outcome.said, flags=re.M)


def test_groups_are_of_runs_that_differ_in_nothing_but_their_seed(compose_job, tmp_path):
    places = [f"paths.{name}={tmp_path / name}" for name in ("results", "models")]  # where nothing was fitted yet

    def jobs(stacked):
        points = [(variant, width, seed) for seed in range(3) for variant in ("pca", "vae") for width in (2, 4)]
        said = (f"variant={variant} width={width} seed={seed}" for variant, width, seed in points)
        return [compose_job(*one.split(), *places, f"trainer.stacked={stacked}") for one in said]

    assert together(jobs(1)) == [[job] for job in jobs(1)]
    groups = together(jobs(2))
    assert [[job.seed for job in group] for group in groups] == [[0, 1]] * 4 + [[2]] * 4
    for group in groups:
        assert len({(job.variant, job.width) for job in group}) == 1
    with pytest.raises(ZooError, match=r"^trainer\.stacked=0: must be a whole number, at least 1$"):
        together([replace(job, stacked=0) for job in jobs(1)])


def test_what_only_lacks_scores_is_in_no_group(compose_job, tmp_path, command):
    places = [f"paths.{name}={tmp_path / name}" for name in ("results", "models")]
    said = ["variant=linear_ae", "budget.epochs=1", "data=digits", "trainer.progress=false", *places]
    command(*said, "seed=1", "evaluation.groups=[reconstruction]", "trainer.matmul=highest")
    jobs = [compose_job(*said, f"seed={seed}", "trainer.stacked=4") for seed in range(3)]
    assert [[job.seed for job in group] for group in together(jobs)] == [[0, 2], [1]]


def test_every_study_asks_for_groups_of_metrics_that_exist(written):
    _, table, figures = written
    assert all(job.due(None) for job in (*table, *figures))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("study=digits data=wine", r"data=wine: this study is of data=digits; leave it out, or write a study for it"),
        ("study=digits evaluation.groups=[]", r"evaluation\.groups=\[\]: nothing would be measured; name groups"),
        ("study=digits evaluation.groups=[nope]", r"evaluation\.groups=\[nope\]: no such group"),
        ("study=digits paths.results=", r"paths\.results= is empty: give a folder, or leave it out"),
        ("study=digits paths.results=file", r"paths\.results=file: .*file is a file, and a folder is needed"),
        (
            "variant=pca evaluation.groups=[generation] paths.features=file/x",
            r"paths\.features=file/x: .*file is a file, and a folder is needed",
        ),
        ("variant=pca paths.models=file/below", r"paths\.models=file/below: .*file is a file, and a folder is needed"),
        ("study=digits force=maybe", r"force=maybe: must be true or false"),
        ("study=digits processes=-7", r"processes=-7: runs are spread over a whole number of processes, at least 1"),
        ("-m variant=pca,svd processes=0", r"processes=0: runs are spread over a whole number"),
        ("variant=pca processes=1.5", r"engine=local: processes=1\.5: must be a whole number or null"),
    ],
)
def test_what_can_be_known_is_told_before_anything_is_fitted(command, tmp_path, left, arguments, told):
    (tmp_path / "file").write_text("")
    outcome = command(*arguments.split())
    assert outcome.status == 2
    assert re.search(rf"^error: {told}", outcome.said, flags=re.M), outcome.said
    assert left() == ["file"]


def test_a_fit_that_cannot_be_written_is_kept_elsewhere(command, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        outcome = command("variant=pca", "data=digits", "evaluation.groups=[reconstruction]")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert outcome.status == 2
    assert re.search(
        r"^error: \S+safetensors: cannot be written \(.*File too large.*the fit is lost", outcome.said, re.M
    )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="a small disk is mounted by root")
def test_a_fit_for_which_the_disk_has_no_room_is_kept_elsewhere(command, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], check=False).returncode:
        pytest.skip("nothing can be mounted")
    try:
        outcome = command("variant=pca", "data=digits", "evaluation.groups=[reconstruction]", "paths.models=disk")
        assert [path for path in disk.rglob("*") if path.is_file()] == []
    finally:
        subprocess.run(["umount", disk], check=True)
    assert outcome.status == 2
    found = re.search(r"No space left on device.*\); the fit is kept in (\S+): make room, copy", outcome.said)
    assert found, outcome.said
    assert len(list(Path(found[1]).rglob("*.safetensors"))) == len(list(Path(found[1]).rglob("*.json"))) == 1


def test_a_worker_that_is_replaced_as_it_holds_more_memory_is_no_news():
    from joblib.externals.loky import process_executor

    assert engines.REPLACED in Path(process_executor.__file__).read_text(), "loky's own words"
    with engines.Local(2).workers(2, 1, False):
        warnings.warn(f"{engines.REPLACED} were given to the executor. This can be caused by ...", stacklevel=1)


class Killed(Exception):
    """A worker was killed."""


def groups_of(job, count):
    return [[replace(job, seed=seed)] for seed in range(count)]


def killing(monkeypatch, begun_at_once, deadly):
    """Workers that are killed while they compute `begun_at_once` runs, of those seeds that are `deadly`."""
    begun: list[int] = []

    def computed(calls, workers, at_once, meanwhile):
        for index, group, *_ in calls:
            if index not in deadly:
                yield index, [(group[0], Pruned("done"))]
        left = [index for index, *_ in calls if index in deadly]
        begun.extend(left[:begun_at_once])
        if left:
            raise Killed

    monkeypatch.setattr(running, "computed", computed)
    monkeypatch.setattr(running, "abandoned", lambda lock: any(lock.stem.endswith(f"-s{seed}") for seed in begun))
    return begun


def test_however_often_workers_are_killed_every_run_is_tried_and_told_by_what_befell_it(monkeypatch, compose_job):
    begun = killing(monkeypatch, 2, deadly=range(5, 15))
    found = running.outcomes(groups_of(compose_job("variant=pca"), 20), Workers({}, 2, (Killed,)), bool)
    killed = {job.seed: outcome == running.KILLED for job, outcome in found}
    assert killed == {seed: 5 <= seed < 15 for seed in range(20)}
    assert sorted(set(begun)) == list(range(5, 15)), "none is told as killed that did not begin"


def test_workers_that_never_begin_a_run_end_the_study_with_the_reason(monkeypatch, compose_job):
    killing(monkeypatch, 0, deadly=range(3))
    found = [outcome for _, outcome in running.outcomes(groups_of(compose_job(), 3), Workers({}, 2, (Killed,)), bool)]
    assert found == [running.UNBEGUN] * 3


def test_a_record_that_a_worker_sends_back_is_kept_where_the_one_here_lacks_something(tmp_path, compose_job):
    job = compose_job("variant=pca", "evaluation.groups=[cost]", f"paths.home={tmp_path}", "trainer.progress=false")
    elsewhere = {"results": tmp_path / "worker", "models": tmp_path / "worker" / "models"}

    class Elsewhere:
        @contextmanager
        def workers(self, runs, threads, gpu):
            yield Workers({}, 1, ())

    def outcomes(groups, workers, meanwhile):
        for (one,) in groups:
            yield one, run_one(replace(one, **elsewhere))

    before = run_one(job)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "outcomes", outcomes)
        more = replace(job, groups=["cost", "reconstruction"])
        assert running.run_jobs([more], Elsewhere()) == []
    after = read_record(job.record_path)
    assert set(before.metrics) < set(after.metrics)
    assert after.metrics["mse"]["value"] > 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("table: !!python/object/apply:os.mkdir [trap]", r"broken.yaml, line 1: not valid YAML"),
        ("about: x\ntable: [[data=digits", r"broken.yaml, line 2: not valid YAML"),
        ("- a\n- b", "table must be a list of sweeps"),
        ("table: 5", "table must be a list of sweeps"),
        ("table: [[data=digits, 5]]", "table must be a list of sweeps"),
        ("figures: [data=digits]", "figures must be a list of sweeps"),
    ],
)
def test_a_study_of_another_form_is_one_sentence(text, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "broken.yaml").write_text(text)
    for words in (["study", "broken"], ["run", "study=broken"]):
        with pytest.raises(SystemExit) as left:
            main([*words, f"--config-dir={tmp_path}"])
        assert left.value.code == 2
        message = capsys.readouterr().err
        assert re.search(said, message)
        assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "study"]


@pytest.mark.parametrize("said", ["engine=local,dask", "processes=1,2", "search=none,asha", "paths.results=a,b"])
def test_what_holds_for_all_runs_of_a_sweep_has_one_value(command, said):
    outcome = command("-m", "variant=pca", "data=digits", said)
    assert outcome.status == 2
    assert outcome.said == f"error: {said}: holds for all runs of a sweep; give one value\n"


def test_several_values_for_a_study_point_to_its_file(zoo):
    outcome = zoo("study", "digits", "seed=0,1")
    assert outcome.status == 2
    assert "seed=0,1: a study's runs are in its file, conf/study/<name>.yaml" in outcome.said
