import MeshCore
import Testing

@testable import MeshProxy

/// A server that does something wrong once the head of a request for `/bad` is there.
struct ServerFault: Sendable, CustomTestStringConvertible {
  /// Where a fault ends: with its stream, or with the connection.
  enum Scope { case stream, connection }

  var name: String
  /// What the client gets; 0 for an answer that is visibly cut off.
  var status: Int
  var flag: String
  var scope: Scope = .stream
  /// How often the request reaches the server.
  var sent = 1
  /// The label of `protocol_errors_total`; empty when the server broke no rule.
  var reason = ""
  var script: @Sendable (FramePeer, UInt32) throws -> Void
  var testDescription: String { name }

  static var all: [ServerFault] { refusals + faults + breaches }
}

// MARK: - Scripts

extension ServerFault {
  private typealias F = FramePeer

  private static func head(_ id: UInt32, end: Bool = false, _ fields: (String, String)...) -> [UInt8] {
    F.frame(1, end ? 5 : 4, id, ([(":status", "200")] + fields).flatMap { F.literal($0.0, $0.1) })
  }

  /// The server reads until the proxy is gone, so that its own close does not come first.
  private static func waitForEnd(_ server: FramePeer) { while !server.peer.isCut() {} }

  // MARK: - Refusals and resets

  static let refusals: [ServerFault] =
    [
      (0, "NO_ERROR"), (1, "PROTOCOL_ERROR"), (2, "INTERNAL_ERROR"), (8, "CANCEL"), (11, "ENHANCE_YOUR_CALM"),
      (13, "HTTP_1_1_REQUIRED"), (0xFFFF, "an unknown code"),
    ].map { code, name in
      ServerFault(name: "RST_STREAM \(name) before the head", status: 502, flag: "UR") { server, id in
        try server.send(F.reset(id, code))
      }
    } + [
      ServerFault(name: "REFUSED_STREAM", status: 503, flag: "UR", sent: 3) { server, id in
        try server.send(F.reset(id, 7))
      },
      ServerFault(name: "REFUSED_STREAM after 103", status: 503, flag: "UR") { server, id in
        try server.send(F.headers(id, (":status", "103")), F.reset(id, 7))
      },
      ServerFault(name: "RST_STREAM after the head", status: 0, flag: "UR") { server, id in
        try server.send(head(id), F.reset(id, 8))
      },
      ServerFault(name: "RST_STREAM NO_ERROR in the middle of the body", status: 0, flag: "UR") { server, id in
        try server.send(head(id, ("content-length", "10")), F.data(id, "12345"), F.reset(id, 0))
      },
      ServerFault(name: "RST_STREAM after END_STREAM", status: 200, flag: "") { server, id in
        try server.send(head(id), F.data(id, "whole", end: true), F.reset(id, 8))
      },
      ServerFault(name: "GOAWAY that leaves the request out", status: 503, flag: "UR", scope: .connection, sent: 3) {
        server, _ in
        try server.send(F.goAway(0))
        waitForEnd(server)
      },
      ServerFault(name: "GOAWAY before the answer", status: 200, flag: "", scope: .connection) { server, id in
        try server.send(F.goAway(id), head(id), F.data(id, "whole", end: true))
        waitForEnd(server)
      },
      ServerFault(name: "GOAWAY in two steps in the middle of the body", status: 200, flag: "", scope: .connection) {
        server, id in
        try server.send(head(id), F.data(id, "wh"), F.goAway(0x7FFF_FFFF), F.goAway(id), F.data(id, "ole", end: true))
        waitForEnd(server)
      },
      ServerFault(name: "GOAWAY after the answer", status: 200, flag: "", scope: .connection) { server, id in
        try server.send(head(id, end: true) + F.goAway(id, 11))
        waitForEnd(server)
      },
      ServerFault(
        name: "GOAWAY that covers the request, then the end", status: 503, flag: "UC", scope: .connection, sent: 2
      ) {
        server, id in
        try server.send(F.goAway(id, 2))
        throw SocketProblem(description: "end")
      },
      ServerFault(name: "the end in the middle of HEADERS", status: 503, flag: "UC", scope: .connection, sent: 2) {
        server, id in
        try server.send(Array(head(id).dropLast()))
        throw SocketProblem(description: "end")
      },
      ServerFault(name: "the end after 103", status: 503, flag: "UC", scope: .connection) { server, id in
        try server.send(F.headers(id, (":status", "103")))
        throw SocketProblem(description: "end")
      },
      ServerFault(name: "the end in the middle of DATA", status: 0, flag: "UC", scope: .connection) { server, id in
        try server.send(head(id), Array(F.data(id, "12345", end: true).dropLast()))
        throw SocketProblem(description: "end")
      },
    ]

  // MARK: - Faults of one message

  private static func fault(
    _ name: String, status: Int = 502, reason: String = "http2_stream_error",
    _ frames: @escaping @Sendable (UInt32) -> [UInt8]
  ) -> ServerFault {
    ServerFault(name: name, status: status, flag: "UPE", reason: reason) { server, id in
      try server.send(frames(id))
    }
  }

  static let faults: [ServerFault] = [
    fault("no :status") { F.headers($0, end: true, ("server", "x")) },
    fault("two :status") { F.headers($0, end: true, (":status", "200"), (":status", "200")) },
    fault(":status 99") { F.headers($0, end: true, (":status", "99")) },
    fault(":status 1000") { F.headers($0, end: true, (":status", "1000")) },
    fault(":status 2xx") { F.headers($0, end: true, (":status", "2xx")) },
    fault(":status 101") { F.headers($0, (":status", "101"), ("server", "x")) },
    fault("an upper-case name") { head($0, end: true, ("Server", "x")) },
    fault("a line feed in a value") { head($0, end: true, ("server", "x\ny: z")) },
    fault("connection") { head($0, end: true, ("connection", "close")) },
    fault("transfer-encoding") { head($0, end: true, ("transfer-encoding", "chunked")) },
    fault("a pseudo-header field after a field") { F.headers($0, end: true, ("server", "x"), (":status", "200")) },
    fault("a request's pseudo-header field") { head($0, end: true, (":path", "/")) },
    fault("an unknown pseudo-header field") { head($0, end: true, (":reason", "OK")) },
    fault("two Content-Lengths") { head($0, ("content-length", "1"), ("content-length", "1")) },
    fault("a Content-Length that is no number") { head($0, ("content-length", "+1")) },
    fault("a Content-Length without content") { head($0, end: true, ("content-length", "5")) },
    fault("103 that ends the stream") { F.headers($0, end: true, (":status", "103")) },
    fault("DATA before HEADERS") { F.data($0, "x") },
    fault("WINDOW_UPDATE of 0") { F.windowUpdate($0, 0) },
    fault("a stream's window past 2^31-1") { F.windowUpdate($0, 0x7FFF_FFFF) },
    // A limit has a metric of its own.
    fault("too many fields", reason: "") { id in
      F.frame(1, 5, id, F.literal(":status", "200") + (0..<101).flatMap { F.literal("x-\($0)", "") })
    },
    fault("less content than Content-Length", status: 0) {
      head($0, ("content-length", "10")) + F.data($0, "12345", end: true)
    },
    fault("more content than Content-Length", status: 0) {
      head($0, ("content-length", "2")) + F.data($0, "12345", end: true)
    },
    fault("content in a 204", status: 0) { F.headers($0, (":status", "204")) + F.data($0, "12345", end: true) },
    fault("trailers with a pseudo-header field", status: 0) {
      head($0) + F.data($0, "12345") + F.headers($0, end: true, (":status", "200"))
    },
    fault("trailers that do not end the stream", status: 0) {
      head($0) + F.data($0, "12345") + F.headers($0, ("x-sum", "1"))
    },
  ]

  // MARK: - Breaches of the protocol

  private static func breach(
    _ name: String, status: Int = 502, _ frames: @escaping @Sendable (UInt32) -> [UInt8]
  ) -> ServerFault {
    ServerFault(
      name: name, status: status, flag: status == 200 ? "" : "UPE", scope: .connection,
      reason: "http2_connection_error"
    ) { server, id in
      try server.send(frames(id))
      waitForEnd(server)
    }
  }

  static let breaches: [ServerFault] = [
    breach("PUSH_PROMISE") { F.frame(5, 4, $0, F.word(2) + F.literal(":path", "/")) },
    breach("HEADERS on a stream of the server's") { _ in F.headers(2, end: true, (":status", "200")) },
    breach("HEADERS on an idle stream") { _ in F.headers(99, end: true, (":status", "200")) },
    breach("DATA on an idle stream") { _ in F.data(99, "x") },
    breach("RST_STREAM on an idle stream") { _ in F.reset(99, 8) },
    breach("WINDOW_UPDATE on an idle stream") { _ in F.windowUpdate(99, 1) },
    breach("DATA after END_STREAM", status: 200) { head($0, end: true) + F.data($0, "more") },
    breach("HEADERS after END_STREAM", status: 200) { head($0, end: true) + head($0, end: true) },
    breach("the connection's window past 2^31-1") { _ in F.windowUpdate(0, 0x7FFF_FFFF) },
    breach("the connection's WINDOW_UPDATE of 0") { _ in F.windowUpdate(0, 0) },
    breach("a field block that is no HPACK") { F.frame(1, 5, $0, [0x80]) },
    breach("an index outside the tables") { F.frame(1, 5, $0, [0xFF, 0x40]) },
    breach("a table larger than announced") { F.frame(1, 5, $0, [0x3F, 0xE2, 0x1F, 0x88]) },
    breach("a frame that is too large") { F.frame(0, 0, $0, [UInt8](repeating: 0, count: 16_385)) },
    breach("CONTINUATION without HEADERS") { F.frame(9, 4, $0, [0x88]) },
    breach("a field block that is interrupted") { F.frame(1, 1, $0, [0x88]) + F.frame(6, 0, 0, F.word(0) + F.word(0)) },
    breach("padding longer than the frame") { head($0) + F.frame(0, 8, $0, [9, 1]) }.cut,
    breach("SETTINGS that break a rule later") { _ in F.settings((2, 2)) },
    breach("GOAWAY of 4 bytes") { _ in F.frame(7, 0, 0, F.word(0)) },
    breach("PING of 7 bytes in the middle of the body") {
      head($0) + F.data($0, "12345") + F.frame(6, 0, 0, [UInt8](repeating: 0, count: 7))
    }.cut,
  ]
}

extension ServerFault {
  /// The fault comes after the head: the answer is cut off.
  fileprivate var cut: Self {
    var copy = self
    copy.status = 0
    return copy
  }
}
