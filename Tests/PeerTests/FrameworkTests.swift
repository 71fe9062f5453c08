import Foundation
import TestPeers
import Testing

extension PeerTests {
  /// Applications of frameworks of others, as they are.
  @Suite("Frameworks", .timeLimit(.minutes(5 * slowness))) struct FrameworkTests {
    private func ask(
      _ wire: Wire,
      _ method: String,
      _ target: String,
      _ fields: [String] = [],
      _ body: String = ""
    ) throws -> Answer {
      let lines =
        ["\(method) \(target) HTTP/1.1", "Host: shop.example"] + fields
        + (body.isEmpty ? [] : ["Content-Length: \(body.utf8.count)"])
      try wire.send(text: lines.joined(separator: "\r\n") + "\r\n\r\n" + body)
      return try wire.receiveAnswer(isToHead: method == "HEAD")
    }

    private static let form = ["Content-Type: application/x-www-form-urlencoded"]

    @Test("Flask: routes, forms, JSON, streams, cookies and errors")
    func flask() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          """
          from flask import Flask, Response, jsonify, redirect, request, url_for

          app = Flask(__name__)

          @app.route("/")
          def hello():
              return "hello"

          @app.route("/form", methods=["POST"])
          def form():
              answer = jsonify(name=request.form["name"], address=request.remote_addr)
              answer.set_cookie("seen", "yes")
              return answer

          @app.route("/stream")
          def stream():
              return Response((b"%d " % number for number in range(100)), mimetype="text/plain")

          @app.route("/away")
          def away():
              return redirect(url_for("hello", _external=True))

          @app.route("/fail")
          def fail():
              raise ValueError("secret")

          app.wsgi_app = validator(app.wsgi_app)
          """,
          "python /usr/bin/python3",
          route: "strip_prefix /shop"
        )
        let wire = try Wire(to: martlet.endpoint)
        let hello = try ask(wire, "GET", "/shop/")
        #expect(hello.text == "hello")
        #expect(try ask(wire, "HEAD", "/shop/").status == 200)
        #expect(try ask(wire, "GET", "/shop/nothing").status == 404)
        let form = try ask(wire, "POST", "/shop/form", Self.form, "name=a+b")
        #expect(form.text.contains("\"name\":\"a b\"") && form.text.contains("127.0.0.1"))
        #expect(form.fields["set-cookie"]?.hasPrefix("seen=yes") == true)
        let stream = try ask(wire, "GET", "/shop/stream")
        #expect(stream.text == (0..<100).map { "\($0) " }.joined())
        let away = try ask(wire, "GET", "/shop/away")
        #expect(away.status == 302 && away.fields["location"] == "http://shop.example/shop/")
        let failure = try ask(wire, "GET", "/shop/fail")
        #expect(failure.status == 500 && !failure.text.contains("secret"))
        try martlet.line(with: "ValueError: secret")
      }
    }

    @Test("Django: views, forms, uploads, streams and errors")
    func django() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          """
          import django
          from django.conf import settings
          settings.configure(
              DEBUG=False, SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["shop.example"],
              MIDDLEWARE=["django.middleware.common.CommonMiddleware"])
          django.setup()
          from django.core.wsgi import get_wsgi_application
          from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
          from django.urls import path

          def hello(request):
              return HttpResponse("hello " + request.GET.get("name", ""))

          def upload(request):
              return JsonResponse({name: file.size for name, file in request.FILES.items()})

          def stream(request):
              return StreamingHttpResponse(b"%d " % number for number in range(100))

          def fail(request):
              raise ValueError("secret")

          urlpatterns = [path("", hello), path("upload", upload), path("stream", stream),
                         path("fail", fail)]
          app = validator(get_wsgi_application())
          """,
          "python /usr/bin/python3",
          route: "body_limit none"
        )
        let wire = try Wire(to: martlet.endpoint)
        #expect(try ask(wire, "GET", "/?name=%C3%A4").text == "hello ä")
        #expect(try ask(wire, "GET", "/nothing").status == 404)
        let part =
          "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n"
          + String(repeating: "x", count: 3_000_000) + "\r\n--b--\r\n"
        let type = ["Content-Type: multipart/form-data; boundary=b"]
        #expect(try ask(wire, "POST", "/upload", type, part).text == "{\"file\": 3000000}")
        let stream = try ask(wire, "GET", "/stream")
        #expect(stream.text == (0..<100).map { "\($0) " }.joined())
        #expect(try ask(wire, "GET", "/fail").status == 500)
      }
    }

    @Test("Starlette: routes, JSON, streams, background work and lifespan")
    func starlette() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          """
          import asyncio
          from contextlib import asynccontextmanager
          from starlette.applications import Starlette
          from starlette.background import BackgroundTask
          from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
          from starlette.routing import Route

          async def hello(request):
              return PlainTextResponse("hello " + request.query_params.get("name", ""))

          async def body(request):
              return JSONResponse(await request.json())

          async def stream(request):
              async def pieces():
                  for number in range(100):
                      yield b"%d " % number
                      await asyncio.sleep(0)
              return StreamingResponse(pieces(), media_type="text/plain")

          async def later(request):
              return PlainTextResponse("ok", background=BackgroundTask(print, "done later"))

          @asynccontextmanager
          async def lifespan(app):
              print("it begins")
              yield
              print("it ends")

          app = Starlette(routes=[
              Route("/", hello), Route("/body", body, methods=["POST"]), Route("/stream", stream),
              Route("/later", later)], lifespan=lifespan)
          """,
          "python /usr/bin/python3",
          interface: "asgi"
        )
        try martlet.line(with: "it begins")
        let wire = try Wire(to: martlet.endpoint)
        #expect(try ask(wire, "GET", "/?name=%C3%A4").text == "hello ä")
        #expect(try ask(wire, "GET", "/nothing").status == 404)
        let json = try ask(
          wire,
          "POST",
          "/body",
          ["Content-Type: application/json"],
          "{\"a\":[1,2]}"
        )
        #expect(json.text == "{\"a\":[1,2]}")
        let stream = try ask(wire, "GET", "/stream")
        #expect(stream.text == (0..<100).map { "\($0) " }.joined())
        #expect(try ask(wire, "GET", "/later").text == "ok")
        try martlet.line(with: "done later")
        martlet.signal(SIGTERM)
        try martlet.line(with: "it ends")
      }
    }

    /// The interpreter of an environment with packages of PyPI, which `MARTLET_PYTHON` names; else the system's.
    static let interpreter =
      ProcessInfo.processInfo.environment["MARTLET_PYTHON"] ?? "/usr/bin/python3"

    /// Whether that interpreter has a module.
    static func has(_ module: String) -> Bool {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: interpreter)
      process.arguments = ["-c", "import \(module)"]
      process.standardError = FileHandle.nullDevice
      do { try process.run() } catch { return false }
      process.waitUntilExit()
      return process.terminationStatus == 0
    }

    @Test(
      "FastAPI: parameters, models, errors, streams and WebSockets",
      .enabled(if: has("fastapi"), "MARTLET_PYTHON names an interpreter with FastAPI")
    )
    func fastAPI() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          """
          from fastapi import FastAPI, WebSocket
          from fastapi.responses import StreamingResponse
          from pydantic import BaseModel

          app = FastAPI()

          class Item(BaseModel):
              name: str
              price: float

          @app.get("/items/{number}")
          def item(number: int, q: str = "none"):
              return {"number": number, "q": q}

          @app.post("/items")
          async def make(item: Item):
              return {"name": item.name, "double": item.price * 2}

          @app.get("/stream")
          def stream():
              return StreamingResponse((b"%d " % number for number in range(100)))

          @app.websocket("/echo")
          async def echo(socket: WebSocket):
              await socket.accept()
              await socket.send_text((await socket.receive_text()).upper())
              await socket.close()
          """,
          "python \(Self.interpreter)",
          interface: "asgi"
        )
        let wire = try Wire(to: martlet.endpoint)
        #expect(try ask(wire, "GET", "/items/7?q=a%20b").text == "{\"number\":7,\"q\":\"a b\"}")
        #expect(try ask(wire, "GET", "/items/x").status == 422)
        let type = ["Content-Type: application/json"]
        let made = try ask(wire, "POST", "/items", type, "{\"name\":\"a\",\"price\":1.5}")
        #expect(made.text == "{\"name\":\"a\",\"double\":3.0}")
        #expect(try ask(wire, "POST", "/items", type, "{}").status == 422)
        #expect(try ask(wire, "GET", "/stream").text == (0..<100).map { "\($0) " }.joined())
        #expect(try ask(wire, "GET", "/openapi.json").text.contains("\"/items/{number}\""))
        try wire.send(
          text: "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        _ = try wire.receive(through: "\r\n\r\n")
        try wire.send([0x81, 0x82, 0, 0, 0, 0] + Array("ab".utf8))
        #expect(try wire.receive(exactly: 4) == [0x81, 2] + Array("AB".utf8))
      }
    }

    @Test(
      "httpbin: methods, bodies, statuses, redirections, cookies, streams and compressed answers",
      .enabled(if: has("httpbin"), "MARTLET_PYTHON names an interpreter with httpbin")
    )
    func httpbin() async throws {
      try await Rig.run { rig in
        let martlet = try ApplicationTests.start(
          rig,
          "from httpbin import app",
          "python \(Self.interpreter)"
        )
        let wire = try Wire(to: martlet.endpoint)
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
          let answer = try ask(
            wire,
            method,
            "/anything/a?b=c",
            Self.form,
            method == "GET" ? "" : "d=e"
          )
          #expect(answer.status == 200 && answer.text.contains("\"method\": \"\(method)\""))
          #expect(answer.text.contains("\"url\": \"http://shop.example/anything/a?b=c\""))
        }
        #expect(try ask(wire, "POST", "/post", Self.form, "d=e").text.contains("\"d\": \"e\""))
        for status in [200, 204, 304, 404, 418, 500] {
          #expect(try ask(wire, "GET", "/status/\(status)").status == status)
        }
        #expect(try ask(wire, "GET", "/redirect-to?url=%2Fget").fields["location"] == "/get")
        #expect(
          try ask(wire, "GET", "/cookies/set?a=b").fields["set-cookie"]?.hasPrefix("a=b") == true
        )
        #expect(try ask(wire, "GET", "/cookies", ["Cookie: x=y"]).text.contains("\"x\": \"y\""))
        #expect(try ask(wire, "GET", "/stream/20").text.split(separator: "\n").count == 20)
        #expect(try ask(wire, "GET", "/bytes/100000").body.count == 100_000)
        #expect(try ask(wire, "GET", "/stream-bytes/300000").body.count == 102_400)
        #expect(try ask(wire, "GET", "/range/1000", ["Range: bytes=10-19"]).body.count == 10)
        #expect(try ask(wire, "GET", "/gzip").fields["content-encoding"] == "gzip")
        #expect(try ask(wire, "HEAD", "/get").status == 200)
        #expect(try ask(wire, "GET", "/ip").text.contains("\"origin\": \"127.0.0.1\""))
      }
    }
  }
}
