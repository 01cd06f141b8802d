import MeshCore
import Testing

@testable import MeshProxy

@Suite("Requests that are not HTTP")
struct BadRequestTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var request: String
    var status: Int
    var counter: String
    var testDescription: String { name }
  }

  static let cases = [
    Case(
      name: "two Host fields", request: "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", status: 400,
      counter: "repeated_host"),
    Case(name: "no Host field", request: "GET / HTTP/1.1\r\n\r\n", status: 400, counter: "missing_host"),
    Case(
      name: "a length beside a transfer coding",
      request: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", status: 400,
      counter: "length_with_transfer_encoding"),
    Case(name: "a bare line feed", request: "GET / HTTP/1.1\nHost: a\r\n\r\n", status: 400, counter: "bare_line_feed"),
    Case(
      name: "a space before the colon", request: "GET / HTTP/1.1\r\nHost : a\r\n\r\n", status: 400,
      counter: "space_before_colon"),
    Case(
      name: "a head of 70 KiB",
      request: "GET / HTTP/1.1\r\nHost: a\r\n"
        + String(repeating: "X-A: \(String(repeating: "a", count: 7000))\r\n", count: 10) + "\r\n",
      status: 431, counter: "head_too_large"),
    Case(
      name: "a target of 20 KiB", request: "GET /\(String(repeating: "a", count: 20_000)) HTTP/1.1\r\nHost: a\r\n\r\n",
      status: 414, counter: "request_line_too_long"),
    Case(
      name: "a coding other than chunked",
      request: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", status: 501,
      counter: "unknown_transfer_coding"),
    Case(
      name: "a version of the future", request: "GET / HTTP/2.5\r\nHost: a\r\n\r\n", status: 505,
      counter: "unsupported_version"),
    Case(
      name: "a TLS handshake", request: "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n", status: 400, counter: ""),
  ]

  @Test("are answered once, by the proxy, which then closes and counts them", arguments: cases)
  func answers(_ bad: Case) throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    let answer = try client.exchange(bad.request)
    #expect(answer.status == bad.status)
    #expect(answer.value("server") == "apus")
    #expect(answer.value("connection")?.lowercased() == "close")
    #expect(client.isCut())
    #expect(backend.connections == 0)
    #expect(try proxy.count("protocol_errors_total", "direction=\"outbound\"", "reason=\"\(bad.counter)") == 1)
    #expect(try proxy.count("response_total", "status_code=\"\(bad.status)\"", "response_flag=\"DPE\"") == 1)
  }

  @Test("a bad request after a good one is answered in its turn")
  func afterGood() throws {
    let backend = Backend.named("good")
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    let first = try client.message()
    #expect(first.text == "good", "\(first.head)")
    #expect(try client.message().status == 400)
    #expect(client.isCut())
  }

  @Test("a chunk size that is no number ends a request that was already on its way")
  func badChunk() throws {
    let (asked, cut) = (Signal(), Promise<Bool>())
    let backend = Backend { peer, _ in
      _ = try peer.readThrough("\r\n\r\n")
      asked.raise()
      cut.put(peer.isCut())
    }
    let proxy = try TestProxy.forwarding(to: backend)
    let client = try proxy.connect()
    try client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    #expect(asked.wait())
    let answer = try client.exchange("xyz\r\n")
    #expect(answer.status == 400)
    #expect(client.isCut())
    #expect(try cut.get())
    #expect(try proxy.count("protocol_errors_total", "reason=\"invalid_chunk_size\"") == 1)
  }
}
