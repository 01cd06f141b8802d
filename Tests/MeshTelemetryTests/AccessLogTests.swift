import MeshCore
import MeshHTTP
import MeshTelemetry
import Testing

private func line(_ entry: AccessLogEntry, includingQuery: Bool = false) -> String {
  let out = ByteQueue(pool: BlockPool())
  AccessLogEncoder.append(entry, to: out, includingQuery: includingQuery)
  return out.readable.string
}

private func pathLine(_ path: [UInt8]) -> String {
  path.withUnsafeBytes { bytes in
    var entry = AccessLogEntry()
    entry.path = bytes
    let line = line(entry)
    let start = line.firstRange(of: "\"path\":\"")?.upperBound ?? line.startIndex
    let end = line.firstRange(of: "\",\"protocol_in\"")?.lowerBound ?? line.endIndex
    return String(line[start..<end])
  }
}

@Suite struct AccessLogTests {
  @Test(
    "the outcome of a gRPC call stands behind the flag",
    arguments: [(.status(.unavailable), "14"), (.noStatus, "none"), (.unrecognized, "invalid")]
      as [(GRPCOutcome, String)])
  func grpcStatus(_ outcome: GRPCOutcome, _ text: String) {
    var entry = AccessLogEntry()
    #expect(!line(entry).contains("grpc_status"))
    entry.grpc = outcome
    #expect(line(entry).contains(#""flag":"-","grpc_status":"\#(text)","bytes_in""#))
  }

  @Test("an entry becomes one JSON line with every field in order") func fullLine() {
    let head = MessageHead()
    head.path = head.intern("/cart?token=secret")
    head.authority = head.intern("orders.shop")
    let method = head.intern("GET")
    let requestID = head.intern("r-1")
    var entry = AccessLogEntry()
    entry.unixMilliseconds = 1_700_000_000_123
    entry.direction = .outbound
    entry.method = head.bytes(method)
    entry.path = head.bytes(head.path)
    entry.authority = head.bytes(head.authority)
    entry.requestID = head.bytes(requestID)
    entry.protocolOut = .http2
    entry.status = 503
    entry.flag = .upstreamConnectionFailure
    entry.bytesIn = 1
    entry.bytesOut = 22
    entry.duration = .microseconds(12_034)
    entry.upstreamLatency = .microseconds(7)
    entry.service = "orders.shop:80"
    entry.route = "httproute/shop/orders#0"
    entry.backend = "orders-v2.shop:80"
    entry.endpoint = SocketAddress(ipv4: 0x7F42_0003, port: 8080)
    entry.workload = "orders-v2-1"
    entry.clientID = "spiffe://c"
    entry.serverID = "spiffe://s"
    let expected =
      #"{"time":"2023-11-14T22:13:20.123Z","direction":"outbound","method":"GET","path":"/cart","#
      + #""authority":"orders.shop","protocol_in":"HTTP/1.1","protocol_out":"HTTP/2","status":503,"flag":"UF","#
      + #""bytes_in":1,"bytes_out":22,"duration_ms":12.034,"upstream_ms":0.007,"service":"orders.shop:80","#
      + #""route":"httproute/shop/orders#0","backend":"orders-v2.shop:80","endpoint":"127.66.0.3:8080","#
      + #""workload":"orders-v2-1","client_id":"spiffe://c","server_id":"spiffe://s","request_id":"r-1"}"# + "\n"
    #expect(line(entry) == expected)
    #expect(line(entry, includingQuery: true).contains(#""path":"/cart?token=secret""#))
  }

  @Test(
    "hostile bytes stay inside their JSON string",
    arguments: [
      (Array("/a\"b\\c".utf8), #"/a\"b\\c"#), (Array("/\n\r\t\u{1}\u{7F}".utf8), #"/\n\r\t\u0001\u007f"#),
      (Array("/é€😀".utf8), "/é€😀"), ([0x2F, 0xFF, 0x61], "/\u{FFFD}a"), ([0x2F, 0xC3], "/\u{FFFD}"),
      ([0xC0, 0x80], "\u{FFFD}\u{FFFD}"), ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
      ([0xF4, 0x90, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"), ([0xE2, 0x82, 0x41], "\u{FFFD}\u{FFFD}A"),
    ] as [([UInt8], String)])
  func escaping(_ path: [UInt8], _ expected: String) {
    #expect(pathLine(path) == expected)
  }

  @Test("a value above the limit is cut") func longValue() {
    let limit = AccessLogEncoder.maximumValueBytes
    let cut = pathLine([UInt8](repeating: UInt8(ascii: "a"), count: limit + 1))
    #expect(cut == String(repeating: "a", count: limit) + "\u{2026}")
    let whole = pathLine([UInt8](repeating: UInt8(ascii: "a"), count: limit))
    #expect(whole == String(repeating: "a", count: limit))
  }

  @Test("a value of nothing but escapes fits the room reserved for it") func worstCase() {
    let limit = AccessLogEncoder.maximumValueBytes
    let escaped = pathLine([UInt8](repeating: 1, count: limit + 1))
    #expect(escaped.utf8.count == 6 * limit + 3)
  }

  @Test(
    "times are RFC 3339 in UTC, leap days and the time before 1970 included",
    arguments: [
      (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
      (1_709_251_199_999, "2024-02-29T23:59:59.999Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
    ] as [(Int64, String)])
  func times(_ milliseconds: Int64, _ expected: String) {
    let out = ByteQueue(pool: BlockPool())
    AccessLogEncoder.appendTime(milliseconds, to: out)
    #expect(out.readable.string == expected)
  }

  @Test("the policy logs nothing, all, or about the rate asked for") func policy() {
    var random = SeededRandom(seed: 5)
    func admitted(_ policy: AccessLogPolicy) -> Int {
      (0..<10_000).count { _ in policy.admits(&random) }
    }
    #expect(admitted(.off) == 0)
    #expect(admitted(.all) == 10_000)
    #expect(abs(admitted(.sampled(0.1)) - 1_000) < 150)
    #expect(AccessLogPolicy("sampled=0.25") == .sampled(0.25))
    #expect(AccessLogPolicy("sampled") == .sampled(AccessLogPolicy.defaultRate))
    #expect(AccessLogPolicy("sampled=2") == nil)
    #expect(AccessLogPolicy("some") == nil)
  }

  @Test("every response flag has its own code and a text") func flags() {
    let codes = ResponseFlag.allCases.map { "\($0.code)" }
    #expect(Set(codes).count == codes.count)
    #expect(ResponseFlag.none.code.utf8CodeUnitCount == 1)
    for flag in ResponseFlag.allCases { #expect(flag.text.utf8CodeUnitCount > 5) }
  }
}
