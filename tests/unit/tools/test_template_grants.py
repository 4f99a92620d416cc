"""What the template grants for providers of AWS's own: what is configured, and nothing else."""

from typing import Any

from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]
from tools.sources import FUNCTIONS
from tools.template.render import template

DOCUMENT: dict[str, Any] = yaml_parse(template(FUNCTIONS))


def conditional(function: str) -> dict[str, dict[str, Any]]:
    """The statements of a function that a condition guards, by the condition."""
    policies = DOCUMENT["Resources"][function]["Properties"]["Policies"]
    statements = [one for policy in policies if "Statement" in policy for one in policy["Statement"]]
    guarded = [one["Fn::If"] for one in statements if "Fn::If" in one]
    assert all(otherwise == {"Ref": "AWS::NoValue"} for _, _, otherwise in guarded)
    return {condition: statement for condition, statement, _ in guarded}


def holds(condition: Any, parameters: dict[str, str]) -> Any:
    """The value of a condition, as CloudFormation works it out."""
    if not isinstance(condition, dict):
        return condition
    ((function, arguments),) = condition.items()
    if function == "Ref":
        return parameters[arguments]
    values = [holds(argument, parameters) for argument in arguments]
    match function:
        case "Fn::Not":
            return not values[0]
        case "Fn::Equals":
            return values[0] == values[1]
        case "Fn::Or":
            assert 2 <= len(values) <= 10
            return any(values)
    raise AssertionError(function)


def test_bedrock_may_be_asked_for_the_models_that_are_listed_alone() -> None:
    statement = conditional("ImageGenerateFunction")["WithBedrockModelArns"]
    assert statement == {
        "Effect": "Allow",
        "Action": ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"],
        "Resource": {"Fn::Split": [",", {"Ref": "BedrockModelArns"}]},
    }
    assert "WithBedrockModelArns" not in conditional("TtsGenerateFunction")


def test_polly_may_be_asked_where_the_chain_names_it() -> None:
    statement = conditional("TtsGenerateFunction")["TtsByPolly"]
    assert (statement["Action"], statement["Resource"]) == (["polly:SynthesizeSpeech"], "*")
    assert "Polly" in DOCUMENT["Resources"]["TtsGenerateFunction"]["Metadata"]["WildcardReasons"]
    condition = DOCUMENT["Conditions"]["TtsByPolly"]
    for chain, named in {
        "gtts": False,
        "polly": True,
        "gtts,polly": True,
        "polly,offline": True,
        "offline": False,
    }.items():
        assert holds(condition, {"TtsProviders": chain}) is named, chain


def test_the_boundary_lets_through_what_is_granted() -> None:
    (work,) = [
        statement
        for statement in DOCUMENT["Resources"]["FunctionBoundary"]["Properties"]["PolicyDocument"]["Statement"]
        if statement.get("Sid") == "Work"
    ]
    for function in ("ImageGenerateFunction", "TtsGenerateFunction"):
        for statement in conditional(function).values():
            assert set(statement["Action"]) <= set(work["Action"])
