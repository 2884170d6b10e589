# From a benchmark file to its report: snakemake --cores all [--configfile config/tiny.yaml]
import shlex
import sys
import time
from pathlib import Path

# Given unconditionally, this file's methods would be merged into those of --configfile.
if not config:
    configfile: f"{workflow.basedir}/config/quick.yaml"

from mtlbench.cards import peers
from mtlbench import cli, methods, overhead, pipeline, provenance, runs, solvers, sources, warm
from mtlbench.sections import SINGLE_TASK
from mtlbench.errors import InputError
from mtlbench.solvers import min_norm
from mtlbench.tasks import DatasetError

ROOT = Path("results")
FILE = Path(workflow.configfiles[-1]) if workflow.configfiles else None
try:
    bench, cells = pipeline.resolve(
        config, str(FILE or "--config (it needs --configfile beside it)"), FILE.stem if FILE else None
    )
except (InputError, DatasetError) as error:
    print(f"mtlbench: {error}", file=sys.stderr)
    sys.exit(2)

B = str(ROOT / bench.name)
CONFIGURATION = pipeline.digest_of(pipeline.canonical(config))
CELLS = {cell.folder: cell for cell in cells}
TOY = sorted({cell.method for cell in cells} - {SINGLE_TASK})
MARKERS = [f"{B}/{pipeline.marker(cell)}" for cell in cells]
# The environment is not activated: a bare `mtlbench` in a rule is this very interpreter, whatever PATH says, in a process
# that has its libraries loaded already. A step that wants another number of threads starts itself again. What each step took is kept for the sentence at the end.
ENVIRONMENT = cli.fixed_environment(1)
# A job on another machine, or in a share of this one that its scheduler counts, has no part in this server.
if workflow.is_main_process:
    ENVIRONMENT[warm.SOCKET] = warm.place()
EXPORTS = " ".join(f"{name}={shlex.quote(value)}" for name, value in ENVIRONMENT.items())
EXPORTS = EXPORTS.replace("{", "{{").replace("}", "}}")
shell.prefix(
    f"set -euo pipefail; export {EXPORTS}; mtlbench() {{{{ local began=${{{{EPOCHREALTIME/,/.}}}} status=0;"
    f" '{sys.executable}' -P -m mtlbench.warm \"$@\" || status=$?;"
    f" printf '%s\\t%s\\t%s\\n' \"$2\" \"$began\" \"${{{{EPOCHREALTIME/,/.}}}}\" >> '{B}/{overhead.STEPS}';"
    f" return $status; }}}}; "
)

BEGAN = time.time()
ALL_CORES = max(1, workflow.cores or 1)
GPUS = pipeline.gpus() if bench.device != "cpu" else 0

# A cell asks for one unit of "gpu"; a GPU offers as many units as the benchmark lets cells share it.
if GPUS and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", GPUS * bench.cells_per_gpu)


def code(*modules):
    """The digest of a step's sources: given as a parameter, it runs the step again when their content changes."""
    return sources.digest_of(sources.module_closure(*(f"mtlbench.{module}" for module in modules)))


def results(wildcards):
    """The folder that every step works in."""
    return B


# Rooms look their algorithms up by name: no import leads to them.
SOLVERS = [
    f"solvers.{name}.{algorithm}"
    for name, room in sorted(vars(solvers).items())
    for algorithm in getattr(room, "ALGORITHMS", ())
]


def solver(algorithm):
    """The module of one min-norm algorithm."""
    return f"solvers.min_norm.{algorithm}"


wildcard_constraints:
    folder=r"[^/]+/[^/]+/[^/]+",
    algorithm=r"[a-z_]+",


# Every rule runs in the environment that runs Snakemake. The linter wants an image named; this one is used only where
# containers are asked for, and the project has to be installed in it.
container: "docker://python:3.11-slim"


rule all:
    input:
        f"{B}/report.html",
        f"{B}/manifest.json",
        f"{B}/logs/verdict.checked",
    default_target: True


rule validate:
    input:
        f"{B}/solvers/timing.csv",
        f"{B}/logs/verdict.checked",


rule leaderboard:
    input:
        f"{B}/leaderboard.csv",


rule report:
    input:
        f"{B}/report.html",


rule cards:
    input:
        f"{B}/cards/{peers.TABLE}",


rule publish:
    input:
        f"{B}/logs/verdict.checked",
        f"{B}/{bench.name}.zip",


# Runs are not declared as outputs: Snakemake deletes a rule's outputs before it starts, and finished seeds must stay.
rule train:
    input:
        lambda wildcards: [f"{B}/{path}" for path in pipeline.reference(CELLS[wildcards.folder])],
    output:
        f"{B}/logs/cells/{{folder}}.json",
    params:
        results=results,
        identity=lambda wildcards: runs.identity(CELLS[wildcards.folder]),
        configuration=lambda wildcards: pipeline.digest_of(CELLS[wildcards.folder].model_dump_json()),
        device="gpu" if GPUS else "cpu",
        attempt=lambda wildcards: pipeline.attempt(CELLS[wildcards.folder], Path(B)),
    threads: bench.threads
    resources:
        gpu=min(GPUS, 1),
        mem_mb=2000,
    log:
        f"{B}/logs/train/{{folder}}.log",
    shell:
        # A process that is killed (out of memory, a crash in compiled code) leaves no record of its own.
        "cell() {{ mtlbench step cell {params.results} {wildcards.folder} --attempt {params.attempt}"
        " --configuration {params.configuration} \"$@\" 2>> {log}; }}; : > {log};"
        " cell || {{ status=$?; case $status in 2|130) exit $status;; esac; cell --died $status; }}"


# Measured apart from training, alone on the machine: it asks for every core.
rule cost:
    input:
        # It waits for the training to end, but does not depend on what came out.
        ancient(MARKERS),
    output:
        f"{B}/cost.csv",
    params:
        results=results,
        code=code("training.cost"),
        settings=bench.cost.model_dump_json(),
        cells=pipeline.digest_of("".join(cell.model_dump_json() for cell in cells)),
        environment=provenance.environment(),
    threads: ALL_CORES
    resources:
        gpu=GPUS * bench.cells_per_gpu,
        mem_mb=4000,
    log:
        f"{B}/logs/cost.log",
    shell:
        "mtlbench step cost {params.results} 2> {log}"


rule problems:
    input:
        MARKERS,
    output:
        f"{B}/solvers/problems.npz",
    params:
        results=results,
        code=code("referee.problems", solver("exact")),
        settings=bench.validate_solvers.model_dump_json(),
    resources:
        mem_mb=2000,
    log:
        f"{B}/logs/problems.log",
    shell:
        "mtlbench step problems {params.results} 2> {log}"


# The weights of the runs beside those of the exact solver, on the Gramians that they recorded.
rule afterwards:
    input:
        MARKERS,
    output:
        f"{B}/solvers/inner_weights.csv",
    params:
        results=results,
        code=code("referee.afterwards", solver("exact")),
    resources:
        mem_mb=1000,
    log:
        f"{B}/logs/afterwards.log",
    shell:
        "mtlbench step afterwards {params.results} 2> {log}"


rule judge:
    input:
        f"{B}/solvers/problems.npz",
    output:
        f"{B}/solvers/parts/{{algorithm}}.json",
        f"{B}/solvers/parts/{{algorithm}}.time.json",
    params:
        results=results,
        code=lambda wildcards: code("referee.validate", solver(wildcards.algorithm)),
    resources:
        mem_mb=2000,
    log:
        f"{B}/logs/judge/{{algorithm}}.log",
    shell:
        "mtlbench step judge {params.results} {wildcards.algorithm} 2> {log}"


rule verdict:
    input:
        f"{B}/solvers/problems.npz",
        expand(f"{B}/solvers/parts/{{algorithm}}.json", algorithm=min_norm.ALGORITHMS),
    output:
        f"{B}/solvers/accuracy.csv",
        f"{B}/solvers/traces.csv",
        f"{B}/solvers/traces.time.csv",
        f"{B}/solvers/verdict.json",
    params:
        results=results,
        code=code("referee.verdict"),
    resources:
        mem_mb=1000,
    log:
        f"{B}/logs/verdict.log",
    shell:
        "mtlbench step verdict {params.results} 2> {log}"


# The report is written whatever the verdict says; the pipeline as a whole fails when a promise is broken.
rule check_verdict:
    input:
        f"{B}/solvers/verdict.json",
    output:
        touch(f"{B}/logs/verdict.checked"),
    params:
        results=results,
    log:
        f"{B}/logs/check-verdict.log",
    shell:
        "mtlbench step check-verdict {params.results} 2> {log}"


rule timing:
    input:
        # It waits for the judges to end, but does not depend on what they found.
        ancient(f"{B}/solvers/verdict.json"),
        f"{workflow.basedir}/tests/benchmarks/test_min_norm_speed.py",
    output:
        f"{B}/solvers/timing.csv",
    params:
        results=results,
        code=code("referee.timing", *map(solver, min_norm.ALGORITHMS)),
    threads: ALL_CORES
    resources:
        mem_mb=1000,
    log:
        f"{B}/logs/timing.log",
    shell:
        "mtlbench step timing {params.results} > {log} 2>&1"


# No result depends on it: it fills a core while the others train. The steps read their configuration beside the results.
rule toy:
    output:
        f"{B}/toy.json",
    params:
        results=results,
        code=code("report.toy", *SOLVERS, *(f"methods.{name}" for name in TOY)),
        methods=TOY,
    resources:
        mem_mb=1000,
    log:
        f"{B}/logs/toy.log",
    shell:
        "mtlbench step toy {params.results} 2> {log}"


# What the peers' implementations that are installed do; alone on the machine, because their calls are timed.
rule make_cards:
    output:
        f"{B}/cards/{peers.TABLE}",
    params:
        results=results,
        code=code("cards.peers", *SOLVERS, *(f"methods.{name}" for name in methods.names())),
        installed=peers.installed(),
    threads: ALL_CORES
    resources:
        mem_mb=2000,
    log:
        f"{B}/logs/cards.log",
    shell:
        # A fresh process, as whoever installs another library would have it.
        "MTLBENCH_WARM= mtlbench step cards {params.results} 2> {log}"


rule tables:
    input:
        MARKERS,
        f"{B}/cost.csv",
    output:
        [f"{B}/leaderboard.{kind}" for kind in ("csv", "md", "tex", "html")],
        f"{B}/overall.csv",
    params:
        results=results,
        configuration=CONFIGURATION,
        code=code("report.leaderboard"),
    resources:
        mem_mb=1000,
    log:
        f"{B}/logs/leaderboard.log",
    shell:
        "mtlbench step tables {params.results} 2> {log}"


rule write_report:
    input:
        f"{B}/leaderboard.csv",
        f"{B}/cost.csv",
        f"{B}/solvers/verdict.json",
        f"{B}/solvers/timing.csv",
        f"{B}/solvers/traces.csv",
        f"{B}/solvers/inner_weights.csv",
        f"{B}/toy.json",
    output:
        [f"{B}/study.csv"] if bench.study else [],
        directory(f"{B}/plots"),
        f"{B}/report.html",
        f"{B}/manifest.json",
    params:
        results=results,
        configuration=CONFIGURATION,
        code=code("report.build", *([f"studies.{bench.study}"] if bench.study else [])),
    threads: ALL_CORES
    resources:
        mem_mb=2000,
    log:
        f"{B}/logs/report.log",
    shell:
        "mtlbench step report {params.results} 2> {log}"


rule bundle:
    input:
        f"{B}/manifest.json",
    output:
        f"{B}/{bench.name}.zip",
    params:
        results=results,
        code=code("publication.bundle"),
    resources:
        mem_mb=1000,
    log:
        f"{B}/logs/bundle.log",
    shell:
        "mtlbench step bundle {params.results} 2> {log}"


# The steps read the configuration beside the results, so that --config seeds=3 reaches every job. Not for a dry run.
onstart:
    pipeline.keep_configuration(config, Path(B))
    if warm.SOCKET in ENVIRONMENT:
        warm.start(ENVIRONMENT[warm.SOCKET])


def spent():
    """Say where the time went."""
    found = overhead.sentence(Path(B), BEGAN, time.time(), ALL_CORES, bench.threads)
    if found:
        print(f"mtlbench: {found}", file=sys.stderr)


onsuccess:
    spent()
    print(f"mtlbench: done; the results are in {B}", file=sys.stderr)


onerror:
    spent()
    print(f"mtlbench: not everything was made; the same command goes on. Logs: {B}/logs", file=sys.stderr)
