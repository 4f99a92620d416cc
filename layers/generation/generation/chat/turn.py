"""One turn of a conversation: a message in, an answer out, both kept.

What is written, in this order: the generation's input, its answer and the two messages, all at once; its record,
which commits the turn, and the session, at once. Until the session is written, the turn's id is in it as unsettled;
then the turn is the one that was counted last. Whoever holds the session next, or shows its messages, looks for the
record of both. With one, the turn's messages are added and what it took is counted, unless they are; without, it is
taken out of the session, when its worker must have ended. So wherever a worker ends, no message is lost, doubled or
left of a turn that was not, and nothing is counted twice.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from core import ids, times, waiting
from core.errors import (
    BadGateway,
    Conflict,
    GatewayTimeout,
    ProblemError,
    ServiceUnavailable,
    Unauthorized,
    Unprocessable,
)
from core.http import problem
from core.identity import Identity
from core.logging import logger
from generation import keys, text_chain
from generation.chain import Outcome
from generation.chat.context import Context
from generation.chat.messages import RECENT, SEGMENT_BYTES, ChatMessage, Messages, RecentSegments
from generation.chat.sessions import Counted, LeaseLost, Session, Sessions, Totals, busy, missing
from generation.library import GENERATION_SECONDS, STORING_SECONDS, Library
from generation.providers import Artifact, Deadline, PromptRefused, ProviderError, ProviderTimeout
from generation.records import Generation
from generation.services import CONTENT_TYPES
from generation.text_chain import Begun, Candidate
from generation.texts import TextProvider
from generation.usage.failures import Call

TITLE_CHARACTERS = 60
# Clocks differ, and a function may be given a moment more than it was told.
_LEASE_MARGIN_SECONDS = 5.0
_SETTLING_SECONDS = 15.0
# Later a record that is not there has been deleted, and perhaps so long ago that nothing else tells.
_LOOKED_FOR = timedelta(days=1)

Emit = Callable[[str, Mapping[str, Any]], None]
"""Takes the events of an answer that leaves in pieces: ``start``, ``delta`` and, when it breaks off, ``error``."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A message, and how it is to be answered; what is None the session or the model decides."""

    prompt: str
    session_id: str | None = None
    model: str | None = None
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None

    def params(self, session_id: str | None) -> dict[str, Any]:
        """The parameters as they are recorded."""
        wanted = {
            "model": self.model,
            "system": self.system,
            "temperature": self.temperature,
            "maxTokens": self.max_tokens,
        }
        return {"sessionId": session_id} | {name: value for name, value in wanted.items() if value is not None}


@dataclass(slots=True)
class _Place:
    """The session of a turn, its messages, and what turns before it left to be settled."""

    session: Session
    messages: Messages
    store: Callable[[], None] | None = None
    """What stores the session, if it is new."""
    is_new: bool = False
    """Whether it was new, and may be stored by now."""
    unwritten: ServiceUnavailable | None = None
    """Why the messages of the turn, or the turn, are not in the session yet."""
    lost: LeaseLost | None = None
    """Why they will never be."""
    counted: Counted | None = None
    """What is in the session of the turn, since it is."""
    settled: list[str] = field(default_factory=list)
    has_undone: bool = False
    """Whether the turn that was counted last was taken out."""
    totals: Totals = field(default_factory=Totals)

    def stored(self) -> None:
        """Store a new session, unless it is."""
        store, self.store = self.store, None
        if store:
            self.is_new = True
            store()

    def writes(self, pair: Sequence[ChatMessage]) -> Callable[[], Callable[[], None]]:
        """What begins to write the turn's messages."""
        # The answer is there: what is not in its session yet, whoever holds that next puts into it.

        def begin() -> Callable[[], None]:
            try:
                appended = self.messages.begin_append(pair)
            except ServiceUnavailable as error:
                self.unwritten = error
                return lambda: None
            return lambda: written(appended)

        def written(appended: Callable[[], None]) -> None:
            try:
                appended()
            except ServiceUnavailable as error:
                self.unwritten = error

        return begin


@dataclass(frozen=True, slots=True)
class Conversations:
    """Answers messages. Every failure before the answer is stored leaves a session as it was."""

    library: Library
    sessions: Sessions
    providers: Sequence[TextProvider]
    segment_bytes: int = SEGMENT_BYTES
    recent: RecentSegments = RECENT

    def answer(
        self,
        asked: Asked,
        *,
        caller: Identity | None,
        remaining_ms: int,
        emit: Emit | None = None,
        seconds: float = GENERATION_SECONDS,
        call: Call | None = None,
        admit: Callable[[], None] = lambda: None,
    ) -> Generation:
        """The stored answer. With ``emit`` its events are told while it is written.

        ``remaining_ms`` is what is left of the function's time, ``seconds`` the longest that writing may take;
        ``call`` gives the answer its id, and is told whom the session has asked first. When the session is held,
        ``admit`` raises what the caller is refused for, before anything else is done. Raises the chain's errors,
        ``Unauthorized``, ``NotFound``, ``Conflict`` while the session answers another message, ``Unprocessable``,
        ``ServiceUnavailable``.
        """
        if asked.session_id is not None and caller is None:
            raise Unauthorized("Sessions are for users: send an access token, or no sessionId.")
        candidates = text_chain.candidates(self.providers, asked.model)
        call = call or Call(ids.new(), "", "")
        prompt_id = ids.new()
        turn = call.id
        start = time.monotonic()
        deadline = Deadline(min(seconds, remaining_ms / 1000 - STORING_SECONDS))
        lease_seconds = remaining_ms / 1000 + _LEASE_MARGIN_SECONDS
        place = None
        if caller is not None and asked.session_id is not None:
            place = self._enter(caller.sub, asked.session_id, turn, lease_seconds)
        begun: Begun | None = None
        try:
            try:
                admit()
            except Exception:
                call.was_refused = True
                raise
            if place and asked.model is None:
                candidates = self._of_session(place.session)
            if candidates:
                call.provider, call.model = candidates[0].provider.name, candidates[0].model.upstream
            context = Context(
                asked.prompt,
                system=asked.system or (place.session.system if place else None),
                earlier=place.messages.newest_first() if place else (),
                max_tokens=asked.max_tokens,
                temperature=asked.temperature,
            )
            if place is None and caller is not None:
                place = self._begin(caller.sub, asked, turn, lease_seconds)
            ask = text_chain.complete if emit is None else text_chain.begin
            begun = ask(candidates, context.request, deadline, meanwhile=place.stored if place else None)
            first_piece_ms = _since(start)
            session_id = place.session.key.id if place else None
            if emit:
                about = {"id": turn, "sessionId": session_id, "provider": begun.provider, "model": begun.model}
                emit("start", about)
            broken = _write(begun, emit)
        except Exception:
            if begun:
                begun.close()
            if place:
                self._leave(place, turn)
            raise
        latency_ms = _since(start)
        usage = begun.usage
        facts = {
            "text": begun.text,
            "finishReason": begun.finish_reason,
            "inputTokens": usage.input_tokens,
            "outputTokens": usage.output_tokens,
            "tokensEstimated": usage.estimated,
            "contextMessages": sum(message.role != "system" for message in begun.request.messages),
            "firstPieceMs": first_piece_ms if emit else None,
            "promptMessage": prompt_id,
        }
        usd = begun.cost_usd
        artifact = Artifact(begun.text.encode(), CONTENT_TYPES["md"], begun.provider, begun.model, facts, usd)
        try:
            generation = self.library.keep(
                turn,
                Outcome(artifact, begun.fallback_from, begun.fallback_reason),
                caller=caller,
                prompt=asked.prompt,
                params=asked.params(session_id),
                latency_ms=latency_ms,
                beside=[place.writes(_pair(turn, asked.prompt, begun.model, facts, usd))] if place else (),
                meanwhile=[lambda: self._commit(place, turn, asked.prompt, facts, usd)] if place else (),
            )
        except Exception:
            # The record may be there all the same, so the turn stays unsettled.
            if place and place.counted:
                with _logged("the session is not free before its time", turn):
                    self.sessions.give_up(place.session, place.counted)
            elif place and place.lost and place.lost.deleted:
                with _logged("of a turn in a deleted session something is left", turn):
                    self._take_back(place, turn)
            elif place:
                self._release(place, turn, place.settled)
            raise
        if place:
            self._committed(place, turn)
        if broken and emit:
            emit("error", problem(broken).body or {})
        return generation

    def settle(self, session: Session) -> Session:
        """The session with what a worker left that ended in the middle of a turn; at once when there is nothing.

        Raises ``ServiceUnavailable``, ``NotFound``.
        """
        unsettled = session.unsettled
        if session.counted and not self._is_recorded(session.counted.turn):
            unsettled |= {session.counted.turn}
        if not unsettled:
            return session
        turn = ids.new()
        try:
            place = self._enter(session.key.user_id, session.key.id, turn, _SETTLING_SECONDS)
        except Conflict:
            return replace(session, unsettled=unsettled)  # nothing is left: the turn is going on
        self._leave(place, turn)
        return self.sessions.get(session.key.user_id, session.key.id)

    def _of_session(self, session: Session) -> list[Candidate]:
        try:
            return text_chain.candidates(self.providers, session.model)
        except Unprocessable:
            # The stack no longer has the session's model, which is not the caller's fault.
            return text_chain.candidates(self.providers, None)

    def _begin(self, user: str, asked: Asked, turn: str, seconds: float) -> _Place:
        """A new session, which is stored while the first provider is asked; it is removed when all of them fail."""
        session, store = self.sessions.begin(
            user, turn, seconds, title=title_of(asked.prompt), model=asked.model, system=asked.system
        )
        place = self._place(session, turn)
        place.store = store
        place.messages.begin()
        return place

    def _enter(self, user: str, session_id: str, turn: str, seconds: float) -> _Place:
        """Hold a session, and settle the turns whose workers ended."""
        place = self._place(self.sessions.take(user, session_id, turn, seconds), turn)
        try:
            if place.session.counted:
                self._prove(place, place.session.counted)
            for left in sorted(place.session.unsettled - {turn}):
                record = self.library.record(left)
                if record is not None and record["meta"]["params"].get("sessionId") == session_id:
                    params, usd = record["meta"]["params"], record["cost"]["usd"]
                    place.messages.append(_pair(left, record["prompt"], record["model"], params, usd))
                    place.totals += _totals(params, usd)
                else:
                    place.messages.withdraw(left)
                place.settled.append(left)
        except Exception:
            self._leave(place, turn)
            raise
        return place

    def _prove(self, place: _Place, counted: Counted) -> None:
        """Take the turn that was counted last out of the session, unless it has a record.

        Raises ``Conflict`` while that may be on its way.
        """
        if self._is_recorded(counted.turn, place.messages):
            return
        if (seconds := counted.until / 1000 - self.sessions.clock().timestamp()) > 0:
            raise busy(seconds)
        place.messages.withdraw(counted.turn)
        place.totals += -counted.totals
        place.has_undone = True

    def _is_recorded(self, turn: str, messages: Messages | None = None) -> bool:
        """Whether a turn that is in its session has a record, or had one; the session's last segment is read beside."""
        if messages and messages.knows(turn):
            return True
        if self.sessions.clock() - ids.created_at(turn) > _LOOKED_FOR:
            return True
        recorded = waiting.begun(lambda: self.library.is_recorded(turn))
        try:
            if messages:
                messages.read()
        finally:
            is_recorded = recorded(waiting.Patience(math.inf))
        return is_recorded

    def _place(self, session: Session, turn: str) -> _Place:
        messages = Messages(
            self.library.bucket,
            session.key,
            session.segment,
            # A turn that is not settled may have written to it since.
            etag=session.segment_etag if session.unsettled == {turn} else None,
            segment_bytes=self.segment_bytes,
            recent=self.recent,
        )
        return _Place(session, messages)

    def _commit(self, place: _Place, turn: str, prompt: str, facts: Mapping[str, Any], usd: float | None) -> None:
        """Put the turn into its session, while its record is written; what fails is made up for later."""
        if place.unwritten:
            return
        counted = Counted(turn, place.session.lease_until, _totals(facts, usd))
        try:
            self.sessions.commit(
                place.session,
                counted,
                place.totals,
                [*place.settled, turn],
                place.messages.last,
                place.messages.etag,
                title_of(prompt),
            )
        except LeaseLost as lost:
            place.lost = lost
        except ServiceUnavailable as error:
            place.unwritten = error
        else:
            place.counted = counted

    def _committed(self, place: _Place, turn: str) -> None:
        """See what came of the session, now that the turn's record is there."""
        if place.lost:
            logger.error("the session was lost in the middle of a turn", id=turn, deleted=place.lost.deleted)
            if place.lost.deleted:
                self._take_back(place, turn)
                raise missing()
        elif place.unwritten:
            logger.error("the answer is not in its session yet", id=turn, session=place.session.key.id)
            self._release(place, turn, place.settled)
        else:
            place.messages.remember(turn)

    def _take_back(self, place: _Place, turn: str) -> None:
        """Remove what a turn wrote whose session was deleted meanwhile."""
        service = self.library.service
        artifact = keys.artifact_object(service, turn, service.extensions[0])
        self.library.erase(turn, place.session.key.user_id, [artifact], self.library.record(turn))
        for number in place.messages.numbers():
            # Who removes the session finds in the others what there is to remove.
            if set(place.messages.answers(number)) <= {turn}:
                place.messages.remove(number)

    def _leave(self, place: _Place, turn: str) -> None:
        """Free the session after a turn that stored nothing; a new one is gone."""
        if place.store:
            return
        if place.is_new:
            with _logged("a session that was begun for nothing is left", turn):
                self.sessions.abandon(place.session, turn)
        else:
            self._release(place, turn, [*place.settled, turn])

    def _release(self, place: _Place, turn: str, settled: Sequence[str]) -> None:
        with _logged("the session is not free before its time", turn):
            self.sessions.release(
                place.session,
                turn,
                place.totals,
                settled,
                place.messages.last,
                place.messages.etag,
                keeps_counted=not place.has_undone,
            )


@contextmanager
def _logged(message: str, turn: str) -> Iterator[None]:
    """Let the caller have the error that led here: what fails now, time mends."""
    try:
        yield
    except (LeaseLost, ServiceUnavailable) as error:
        logger.error(message, id=turn, reason=str(error))


def _write(begun: Begun, emit: Emit | None) -> ProblemError | None:
    """Read the answer to its end; why it broke off, if it did."""
    try:
        for piece in begun:
            if emit:
                emit("delta", {"text": piece})
    except (ProviderError, PromptRefused) as error:
        logger.warning("an answer broke off", provider=begun.provider, reason=str(error))
        kind = GatewayTimeout if isinstance(error, ProviderTimeout) else BadGateway
        return kind(f"The answer broke off ({begun.provider}: {error}). What came is kept. Ask again.")
    return None


def _pair(turn: str, prompt: str, model: str, facts: Mapping[str, Any], usd: float | None) -> list[ChatMessage]:
    """The messages of a turn, the same ones whoever writes them."""
    prompt_id = facts["promptMessage"]
    question: ChatMessage = {
        "id": prompt_id,
        "role": "user",
        "content": prompt,
        "createdAt": times.rfc3339(ids.created_at(prompt_id)),
    }
    answer: ChatMessage = {
        "id": turn,
        "role": "assistant",
        "content": facts["text"],
        "createdAt": times.rfc3339(ids.created_at(turn)),
        "model": model,
        "usage": {"inputTokens": facts["inputTokens"], "outputTokens": facts["outputTokens"], "usd": usd},
    }
    return [question, answer]


def _totals(facts: Mapping[str, Any], usd: float | None) -> Totals:
    micro_usd = None if usd is None else round(usd * 1_000_000)
    return Totals(2, facts["inputTokens"], facts["outputTokens"], micro_usd)


def title_of(prompt: str) -> str:
    """What a session is called after its first message: its first line, or as many whole words as a title has."""
    line = prompt.strip().splitlines()[0].strip()
    if len(line) <= TITLE_CHARACTERS:
        return line
    words = line[: TITLE_CHARACTERS + 1].rpartition(" ")[0].rstrip()
    return f"{words or line[:TITLE_CHARACTERS]}…"


def _since(start: float) -> int:
    return round((time.monotonic() - start) * 1000)
