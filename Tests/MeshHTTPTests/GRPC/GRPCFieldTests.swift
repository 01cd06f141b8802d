import MeshCore
import MeshHTTP
import Testing

private func bytes<T>(_ text: String, _ body: (UnsafeRawBufferPointer) -> T) -> T {
  Array(text.utf8).withUnsafeBytes(body)
}

@Suite("What gRPC keeps in fields")
struct GRPCFieldTests {
  @Test(
    "a POST with the content type of gRPC is a gRPC call",
    arguments: [
      ("application/grpc", true), ("application/grpc+proto", true), ("application/grpc;charset=x", true),
      ("Application/GRPC+json", true), ("application/grpc-web", false), ("application/grpc-web+proto", false),
      ("application/grpcx", false), ("application/grp", false), ("text/application/grpc", false), ("", false),
      ("application/grpc ", false),
    ])
  func contentType(_ type: String, _ isGRPC: Bool) {
    let head = MessageHead()
    head.method = .post
    #expect(!head.isGRPCRequest)
    head.append(name: "content-type", value: type)
    #expect(head.isGRPCRequest == isGRPC)
    head.method = .get
    #expect(!head.isGRPCRequest)
  }

  @Test(
    "a timeout is one to eight digits and a unit",
    arguments: [
      ("1n", 1), ("20u", 20_000), ("300m", 300_000_000), ("4S", 4_000_000_000), ("5M", 300_000_000_000),
      ("1H", 3_600_000_000_000), ("99999999n", 99_999_999), ("00000001S", 1_000_000_000), ("0m", 0),
      ("99999999H", .max), ("2562047H", 2_562_047 * 3_600_000_000_000), ("2562048H", .max),
    ] as [(String, Int64)])
  func timeout(_ text: String, _ nanoseconds: Int64) {
    #expect(bytes(text) { GRPCTimeout.parse($0) }?.nanoseconds == nanoseconds)
  }

  @Test(
    "anything else is no timeout",
    arguments: ["", "m", "1", "123456789n", "-1S", "+1S", "1s", "1h", "1 S", " 1S", "1S ", "1.5S", "0x1S", "1SS", "٣S"])
  func noTimeout(_ text: String) {
    #expect(bytes(text) { GRPCTimeout.parse($0) } == nil)
  }

  @Test(
    "what is left is written in the finest unit that fits, never more than it is and never nothing",
    arguments: [
      (-5, "1n"), (0, "1n"), (1, "1n"), (99_999_999, "99999999n"), (100_000_000, "100000u"),
      (1_999_999_999, "1999999u"),
      (99_999_999_999, "99999999u"), (100_000_000_000, "100000m"), (3_600_000_000_000, "3600000m"),
      (200_000 * 1_000_000_000, "200000S"), (.max, "2562047H"),
    ] as [(Int64, String)])
  func timeLeft(_ nanoseconds: Int64, _ text: String) {
    var written = ""
    GRPCTimeout.withText(.nanoseconds(nanoseconds)) { written = $0.string }
    #expect(written == text)
    let read = bytes(written) { GRPCTimeout.parse($0) }
    #expect((read?.nanoseconds ?? .max) <= max(nanoseconds, 1))
  }

  @Test("a status is a number from 0 to 16") func status() {
    for status in GRPCStatus.allCases {
      #expect(bytes("\(status.rawValue)") { GRPCStatus($0) } == status)
      #expect("\(status.digits)" == "\(status.rawValue)")
    }
    for text in ["", "17", "99", "100", "-1", "1 ", "a", "1a", "0x1"] {
      #expect(bytes(text) { GRPCStatus($0) } == nil, "\(text)")
    }
  }

  @Test("HTTP statuses and reset codes mean to a client what gRPC's tables say") func mapping() {
    let http: [(UInt16, GRPCStatus)] = [
      (400, .internal), (401, .unauthenticated), (403, .permissionDenied), (404, .unimplemented), (429, .unavailable),
      (502, .unavailable), (503, .unavailable), (504, .unavailable), (500, .unknown), (302, .unknown),
    ]
    for (code, status) in http { #expect(GRPCStatus(httpStatus: code) == status) }
    let resets: [(HTTP2ErrorCode, GRPCStatus)] = [
      (.noError, .internal), (.protocolError, .internal), (.internalError, .internal), (.refusedStream, .unavailable),
      (.cancel, .cancelled), (.enhanceYourCalm, .resourceExhausted), (.inadequateSecurity, .permissionDenied),
    ]
    for (code, status) in resets { #expect(GRPCStatus(reset: code) == status) }
  }

  @Test("a message is percent-encoded outside of printable ASCII") func message() {
    let head = MessageHead()
    head.appendGRPCStatus(.unavailable, message: "no way: 100% of `é`\n")
    #expect(head.value(named: "grpc-status") == "14")
    #expect(head.value(named: "grpc-message") == "no way: 100%25 of `%C3%A9`%0A")
  }
}
