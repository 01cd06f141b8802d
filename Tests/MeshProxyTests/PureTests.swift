import MeshAPI
import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry
import Testing

@testable import MeshProxy

private func bytes<R>(_ text: String, _ body: (UnsafeRawBufferPointer) -> R) -> R {
  Array(text.utf8).withUnsafeBytes(body)
}

@Suite("The parts of the proxy without a loop")
struct PureTests {
  @Test(
    "the port of an authority",
    arguments: [
      ("a:80", 80), ("127.0.0.1:65535", 65535), ("[::1]:8080", 8080), ("a", nil), ("a:", nil), ("a:0", nil),
      ("a:65536", nil), ("a:123456", nil), ("a:8x", nil), ("", nil), ("a:-1", nil), ("a:+1", nil),
    ] as [(String, UInt16?)])
  func port(authority: String, port: UInt16?) {
    #expect(bytes(authority) { Router.port(ofAuthority: $0) } == port)
  }

  @Test("a decimal port has one to five digits and is not 0")
  func decimal() {
    #expect(bytes("00080", Router.decimalPort) == 80)
    #expect(bytes("000080", Router.decimalPort) == nil)
    #expect(bytes("", Router.decimalPort) == nil)
    #expect(bytes("0", Router.decimalPort) == nil)
    #expect(bytes("99999", Router.decimalPort) == nil)
    #expect(bytes(" 80", Router.decimalPort) == nil)
  }

  @Test(
    "PEM has lines of 64 characters and padding as RFC 4648 wants it",
    arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")])
  func pem(data: String, text: String) {
    #expect(PEM.encode(Array(data.utf8), label: "X") == "-----BEGIN X-----\n\(text)\n-----END X-----\n")
  }

  @Test("PEM wraps and keeps the high bits")
  func pemWraps() {
    let lines = PEM.encode([UInt8](repeating: 0xFF, count: 100), label: "X").split(separator: "\n")
    #expect(lines.map(\.count) == [17, 64, 64, 8, 15])
    #expect(lines[1] == String(repeating: "/", count: 64)[...])
  }

  @Test("JSON text escapes what must be escaped and separates members and elements")
  func json() {
    var json = JSONWriter()
    json.object {
      $0.field("a\"\\", "q\"b\\n\nr\rt\tc\u{1}é")
      $0.field("n", Int64(-3))
      $0.field("b", true)
      $0.field("d", 0.5)
      $0.field("nan", Double.nan)
      $0.array("list", [1, 2]) { json, n in json.object { $0.field("n", Int64(n)) } }
      $0.array("none", [Int]()) { _, _ in }
      $0.field("last", "z")
    }
    let expected =
      #"{"a\"\\":"q\"b\\n\nr\rt\tc\u0001é","n":-3,"b":true,"d":0.5,"nan":null,"#
      + #""list":[{"n":1},{"n":2}],"none":[],"last":"z"}"#
    #expect(json.text == expected)
  }

  @Test(
    "a declared length frames the body, anything else is sent in chunks",
    arguments: [
      ("12", .length(12)), ("0", .length(0)), (nil, .chunked), ("", .chunked), ("1x", .chunked), ("-1", .chunked),
      ("9999999999999999999", .chunked),
    ] as [(String?, BodyFraming)])
  func framing(length: String?, framing: BodyFraming) {
    let head = MessageHead()
    if let length { head.append(name: "content-length", value: length) }
    #expect(head.declaredFraming == framing)
  }

  @Test("every failure has the status and the flag that people were promised")
  func errors() {
    let table: [(ProxyError, UInt16, String)] = [
      (.noRoute, 404, "NR"), (.unknownService, 404, "NR"), (.unknownInboundPort, 404, "NR"),
      (.notAHost, 400, "DPE"), (.plainHTTPS, 400, "DPE"), (.egressRefused, 403, "UAEX"),
      (.plaintextRefused, 403, "UAEX"),
      (.connectNotAllowed, 405, "NR"), (.noEndpoint, 503, "UH"), (.noBackendWeight, 503, "UH"),
      (.invalidBackend, 500, "NC"), (.connectRefused, 503, "UF"), (.applicationRefused, 502, "UF"),
      (.connectTimeout, 504, "UF"), (.tlsFailure, 503, "UF"), (.peerCouldNotConnect, 502, "UF"),
      (.upstreamClosed, 503, "UC"), (.upstreamReset, 502, "UR"), (.upstreamRefusedStream, 503, "UR"),
      (.upstreamProtocol, 502, "UPE"), (.upstreamOverflow, 503, "UO"), (.responseTimeout, 504, "UT"),
      (.discoveryTimeout, 504, "NC"), (.noIdentity, 503, "NC"), (.loop, 508, "NR"), (.badAuthority, 400, "DPE"),
      (.streamIdle, 408, "SI"), (.requestTimeout, 504, "DT"), (.attemptTimeout, 504, "UT"),
      (.noServerName, 404, "NR"), (.serverNameBehindConnect, 501, "NR"), (.notTLS, 400, "DPE"),
      (.malformedGreeting, 400, "DPE"), (.noGreeting, 408, "SI"), (.rule(status: 500), 500, "NC"),
      (.rule(status: 503), 503, "UH"),
    ]
    for (error, status, flag) in table {
      #expect(error.status == status, "\(error.reason)")
      #expect("\(error.flag.code)" == flag, "\(error.reason)")
      #expect(error.reason.utf8CodeUnitCount > 10)
    }
  }

  @Test("only failures from before the request reached an application allow another attempt")
  func retries() {
    let safe: [ProxyError] = [
      .connectRefused, .applicationRefused, .connectTimeout, .tlsFailure, .upstreamRefusedStream, .peerCouldNotConnect,
    ]
    #expect(safe.allSatisfy { $0.retry == .notSent })
    #expect(ProxyError.upstreamClosed.retry == .reusedConnection)
    let final: [ProxyError] = [
      .noEndpoint, .noRoute, .upstreamProtocol, .responseTimeout, .requestTimeout, .noIdentity,
    ]
    #expect(final.allSatisfy { $0.retry == .no })
    #expect([ProxyError.upstreamReset, .attemptTimeout].allSatisfy { $0.retry == .ifAsked })
  }

  @Test("every HTTP/1 error answers as its decoder says, with the flag DPE", arguments: HTTP1Error.allCases)
  func malformed(error: HTTP1Error) {
    #expect(ProxyError.malformed(error).status == error.status)
    #expect(ProxyError.malformed(error).flag == .downstreamProtocolError)
    #expect(ProxyError.malformed(error).retry == .no)
  }

  @Test("a response flag is read back from its code", arguments: ResponseFlag.allCases)
  func flags(flag: ResponseFlag) {
    #expect(bytes("\(flag.code)") { ResponseFlag($0) } == flag)
    #expect(bytes("\(flag.code)?") { ResponseFlag($0) } == nil)
  }

  // MARK: - Authorities

  @Test("an authority is found again by its bytes and default port only")
  func authorities() {
    var table = SpellingTable<UInt16>(maximumCount: 100)
    bytes("10.0.0.1") { table.insert($0, variant: 80, 1) }
    bytes("b") { table.insert($0, variant: 80, 0) }
    func port(_ text: String, _ variant: UInt16) -> UInt16? {
      bytes(text) { table.find($0, variant: variant) }
    }
    #expect(port("10.0.0.1", 80) == 1)
    #expect(port("10.0.0.1", 443) == nil)
    #expect(port("10.0.0.2", 80) == nil)
    #expect(port("b", 80) == 0)
    #expect(table.count == 2)
    table.removeAll()
    #expect(table.count == 0)
    #expect(port("10.0.0.1", 80) == nil)
  }

  @Test("a table of authorities that is full starts anew and stays within its limit")
  func authorityOverflow() {
    var table = SpellingTable<UInt16>(maximumCount: 50)
    for i in 0..<1_000 {
      bytes("host-\(i)") { table.insert($0, variant: 80, UInt16(i + 1)) }
      #expect(table.count <= 50)
      #expect(bytes("host-\(i)") { table.find($0, variant: 80) } == UInt16(i + 1), "host-\(i) is lost")
    }
    #expect(bytes("host-0") { table.find($0, variant: 80) } == nil)
  }

  // MARK: - Certificates

  @Test("a certificate is renewed at half of its life, a tenth earlier or later", arguments: [10, 3_600, 86_400])
  func renewal(life: Int64) throws {
    let identity = SPIFFEID(trustDomain: "d", namespace: "n", serviceAccount: "a")
    var random = SeededRandom(seed: 1)
    let without = IdentityKeeper(identity: identity)
    let none = without.renewalDelay(nowSeconds: 0, &random)
    #expect(none == .zero)
    #expect(!without.isValid(nowSeconds: 0))
    let start: Int64 = 1_000_000
    let keeper = IdentityKeeper(
      identity: identity,
      current: .init(
        key: try WorkloadKey(), chainPEM: [], trust: try PeerTrust(anchorsPEM: TestAuthority().pem),
        notBefore: start - 20,
        notAfter: start + life, receivedAt: start))
    var delays: [Double] = []
    for _ in 0..<500 {
      let delay = Double(keeper.renewalDelay(nowSeconds: start, &random).nanoseconds) / 1e9
      #expect(delay >= Double(life) * 0.45 - 0.001)
      #expect(delay <= Double(life) * 0.55 + 0.001)
      delays.append(delay)
    }
    #expect(delays.max()! - delays.min()! > Double(life) * 0.08)
    let late = keeper.renewalDelay(nowSeconds: start + life, &random)
    #expect(late >= .seconds(1))
    #expect(keeper.isValid(nowSeconds: start + life + 19))
    #expect(!keeper.isValid(nowSeconds: start + life + 20))
  }
}
