from core.errors import ProblemError
from tests.unit.functions.answers import TITLES


def kinds(kind: type[ProblemError] = ProblemError) -> list[type[ProblemError]]:
    return [kind, *(narrower for child in kind.__subclasses__() for narrower in kinds(child))]


def test_the_title_of_an_error_is_the_contracts_for_its_status_on_every_python() -> None:
    titles = {int(kind.status): kind.title for kind in kinds() if "status" in vars(kind)}
    assert titles == TITLES
    for kind in kinds():
        assert kind.title == titles[kind.status], kind
