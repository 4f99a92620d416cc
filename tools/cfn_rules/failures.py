"""What fails is not lost: it waits in a dead-letter queue, or a failure destination is told."""

from __future__ import annotations

from tools.cfn_rules import _rule
from tools.cfn_rules._intrinsics import find, names
from tools.cfn_rules._triggers import asynchronous_calls, event_sources, queue_sources

_ON_FAILURE = ("DestinationConfig", "OnFailure", "Destination")
# Where a function says what becomes of events that it failed at.
_KEPT = (("DeadLetterQueue", "TargetArn"), ("DeadLetterConfig", "TargetArn"), ("EventInvokeConfig", *_ON_FAILURE))
_STREAMS = frozenset(
    {
        "AWS::DynamoDB::GlobalTable",
        "AWS::DynamoDB::Table",
        "AWS::Kinesis::Stream",
        "AWS::Kinesis::StreamConsumer",
        "AWS::MSK::Cluster",
        "AWS::Serverless::SimpleTable",
    }
)


# A custom resource's function needs neither: it answers CloudFormation, also when it fails.
class FailureDestination(_rule.Rule):
    """Lambda tries an event three times and then drops it."""

    id = "E9002"
    shortdesc = "An asynchronous call that fails goes to a queue or a destination"
    description = "A function that is called without waiting has a dead-letter queue or a destination for failures"
    tags = ("lambda",)

    def problems(self, resources: _rule.Resources) -> _rule.Problems:
        """Functions that are called so and have neither."""
        safe = {
            name
            for _, settings, path in _rule.of_type(resources, "AWS::Lambda::EventInvokeConfig")
            if any(find(settings, path, *_ON_FAILURE))
            for name in names(settings.get("FunctionName"))
        }
        for function, properties, path in _rule.functions(resources):
            if any(found for keys in _KEPT for found in find(properties, path, *keys)):
                safe.add(function)
        for function, where in asynchronous_calls(resources):
            if function not in safe:
                yield (
                    where,
                    f"What {function} fails at is lost: give it DeadLetterQueue or EventInvokeConfig.DestinationConfig."
                    "OnFailure (the dead-letter queue of the event itself gets only what could not be delivered)",
                )


class SourceFailure(_rule.Rule):
    """A message that cannot be processed comes back for ever, and blocks a stream."""

    id = "E9003"
    shortdesc = "A queue or a stream that triggers a function parts with what fails"
    description = "A source queue has a RedrivePolicy to another queue, a stream's mapping a destination for failures"
    tags = ("lambda", "sqs")

    def problems(self, resources: _rule.Resources) -> _rule.Problems:
        """Queues and mappings without one."""
        queues = {name for name, _, _ in _rule.of_type(resources, "AWS::SQS::Queue")}
        for polled, queue in queue_sources(resources):
            targets = [
                name
                for value, _ in find(queue, (), "RedrivePolicy", "deadLetterTargetArn")
                for name in names(value)
                if name in queues and name != polled.source
            ]
            if not targets:
                yield (
                    ("Resources", polled.source),
                    f"{polled.source} triggers {polled.function}: give it RedrivePolicy: {{deadLetterTargetArn: …, "
                    "maxReceiveCount: 5}} and a queue for dead letters",
                )
        for polled in event_sources(resources):
            is_stream = resources.get(polled.source, {}).get("Type") in _STREAMS
            if is_stream and not any(find(polled.properties, (), *_ON_FAILURE)):
                yield polled.path, f"The stream of {polled.function} needs DestinationConfig.OnFailure"
