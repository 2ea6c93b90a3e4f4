"""The HTTP side of a server (FastAPI): who asks, what is asked, and every refusal as one sentence.

Any ASGI server can run `make_app(settings)`; `diffugts serve` runs it with uvicorn.
"""

import errno
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from diffugts import __version__
from diffugts.errors import DiffuGTSError, RequestError
from diffugts.protocol import PROTOCOL_VERSION
from diffugts.protocol.remote import API, PROTOCOL_HEADER, version_problem
from diffugts.server.access import Rate, Tokens
from diffugts.server.bodies import HelloAnswer, JobAnswer, JobBody, Problem, StateAnswer
from diffugts.server.faults import DISK_FULL, Refused
from diffugts.server.guard import Guard
from diffugts.server.service import JobService
from diffugts.server.settings import ServerSettings
from diffugts.worker.link import Link

REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": words}
    for status, words in {
        400: "not what was announced, or not a usable request",
        401: "no token, or one that the server does not know",
        404: "no such job of this token, or no such file",
        408: "nothing came for too long",
        409: "not now: the job stands elsewhere",
        411: "the length is not told",
        413: "too large",
        415: "of another kind",
        421: "asked by a name that is not this machine's own",
        405: "not with this method",
        422: "not as the document says",
        426: "another version of the protocol",
        429: "too many at once",
        507: "the server's disk is full",
    }.items()
}
Name = Annotated[str, PathParameter(pattern="^[0-9a-f]{32}$")]
FileName = Annotated[str, PathParameter(min_length=1, max_length=255)]


def make_app(settings: ServerSettings, links: Sequence[Link] | None = None) -> FastAPI:
    """The application; its jobs begin and end with it (ASGI's lifespan). `links` are workers elsewhere than beside it."""
    service = JobService(settings, links)
    tokens, rate = Tokens(settings.tokens), Rate(settings.limits.requests_per_minute)
    failures = Rate(settings.limits.failed_logins_per_minute)
    bearer = HTTPBearer(auto_error=False, description="The token that whoever runs the server has given")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.close()

    app = FastAPI(
        title="DiffuGTS server",
        version=__version__,
        summary="Tumours in CT and MR by description, computed for another machine. Research use only.",
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from other servers
        redoc_url=None,
        responses=REFUSALS,
    )
    app.state.service = service

    def asking(request: Request, shown: Annotated[Any, Depends(bearer)]) -> str:
        """Whose request it is. Raises Refused."""
        address = request.client.host if request.client else ""
        if not failures.allows(address, cost=0):
            raise Refused(429, "too many", "Too many wrong tokens came from this address. Wait a minute.")
        owner = tokens.owner_of(request.headers.get("authorization"))
        if owner is None:
            failures.allows(address)
            raise Refused(
                401,
                "token",
                "The server does not know this token. Ask whoever runs the server for one, and enter it anew.",
            )
        if not rate.allows(owner):
            raise Refused(429, "too many", "Too many requests came with this token. Wait a minute.")
        theirs = request.headers.get(PROTOCOL_HEADER)
        if theirs is not None and theirs != str(PROTOCOL_VERSION):
            shown_version = theirs if theirs.isascii() and theirs.isdigit() and len(theirs) < 8 else "unknown"
            problem = version_problem(PROTOCOL_VERSION, __version__, -1, "of another version")
            raise Refused(426, "version", problem.replace("protocol -1", f"protocol {shown_version}"))
        return owner

    Owner = Annotated[str, Depends(asking)]

    @app.get(f"{API}/hello")
    async def hello(owner: Owner) -> HelloAnswer:
        """Who answers, with which version and models."""
        limits = settings.limits
        return HelloAnswer(
            program="DiffuGTS",
            version=__version__,
            protocol=PROTOCOL_VERSION,
            models=sorted(settings.models),
            scan_bytes=limits.scan_bytes,
            kept_hours=limits.keep_s / 3600,
            **service.load,
        )

    @app.post(f"{API}/jobs", status_code=201)
    async def add(owner: Owner, body: JobBody) -> JobAnswer:
        """Announce a job; its scan comes next."""
        job = await service.add(owner, body.request.model_dump(), body.scan.bytes, body.scan.sha256)
        return JobAnswer(job=job.name)

    @app.put(
        f"{API}/jobs/{{job}}/scan",
        status_code=202,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def receive(owner: Owner, job: Name, request: Request) -> JobAnswer:
        """The scan (NRRD, voxels not packed, sizes and geometry in its header and nothing else); then the job is in line."""
        await service.receive(service.find(owner, job), request.stream())
        return JobAnswer(job=job)

    @app.get(f"{API}/jobs/{{job}}")
    async def state(owner: Owner, job: Name) -> StateAnswer:
        """Where a job stands."""
        record = service.find(owner, job).record
        stated = {"state": record.state, "ending": record.ending, "message": record.message}
        return StateAnswer.model_validate({"job": job, "sha256": record.manifest_sha256, **stated})

    @app.get(
        f"{API}/jobs/{{job}}/events",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "the worker's events, to the closing one"}
        },
    )
    async def events(owner: Owner, job: Name, last_event_id: Annotated[str, Header()] = "") -> StreamingResponse:
        """A job's events as server-sent events, after the one that the header Last-Event-ID names."""
        blocks = service.follow(service.find(owner, job), last_event_id)
        return StreamingResponse(blocks, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @app.post(f"{API}/jobs/{{job}}/cancel", status_code=202)
    async def cancel(owner: Owner, job: Name) -> JobAnswer:
        """Stop a job and keep the descriptions that are finished; asked again, keep nothing."""
        await service.cancel(service.find(owner, job))
        return JobAnswer(job=job)

    @app.get(
        f"{API}/jobs/{{job}}/result/{{name}}",
        response_class=FileResponse,
        responses={200: {"content": {"application/octet-stream": {}}, "description": "the file"}},
    )
    async def result(owner: Owner, job: Name, name: FileName) -> FileResponse:
        """result.json, or a file that it lists with its checksum."""
        path = service.result_file(service.find(owner, job), name)
        return FileResponse(path, media_type="application/octet-stream", headers={"Cache-Control": "no-store"})

    @app.delete(f"{API}/jobs/{{job}}", status_code=204, response_class=Response)
    async def forget(owner: Owner, job: Name) -> Response:
        """Delete a job, its scan and its result; how a client says that it has everything."""
        await service.forget(service.find(owner, job))
        return Response(status_code=204)

    @app.exception_handler(Refused)
    async def refused(request: Request, fault: Refused) -> JSONResponse:
        headers = {"WWW-Authenticate": "Bearer"} if fault.status == 401 else {}
        return _problem(fault.status, fault.code, str(fault), headers)

    @app.exception_handler(DiffuGTSError)
    async def unusable(request: Request, error: DiffuGTSError) -> JSONResponse:
        return _problem(400, error.code, str(error))

    @app.exception_handler(OSError)
    async def no_room(request: Request, error: OSError) -> JSONResponse:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise error
        return _problem(507, "disk", DISK_FULL)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return _problem(
            422,
            RequestError.code,
            f"The request is not as the server's document says, at '{place:.200}': {first['msg']:.200}.",
        )

    @app.exception_handler(HTTPException)
    async def elsewhere(request: Request, error: HTTPException) -> JSONResponse:
        sentence = "The server has nothing at this address. Check the address and the versions."
        if error.status_code == 400:
            sentence = "The request's body cannot be read as JSON. Send what the server's document says."
        return _problem(error.status_code, "unknown", sentence, dict(error.headers or {}))

    app.add_middleware(Guard, settings=settings)
    return app


def _problem(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"code": code, "message": message}, status, headers)
