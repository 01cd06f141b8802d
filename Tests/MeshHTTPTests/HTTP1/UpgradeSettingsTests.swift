import MeshCore
import MeshHTTP
import Testing

/// RFC 7540, section 3.2: which requests offer `h2c`, and what settings come with the offer.
@Suite struct UpgradeSettingsTests {
  /// What the decoder makes of GET with these field lines: (plain upgrade, offer of HTTP/2, settings).
  private static func read(_ lines: [String], version: String = "1.1") throws -> (Bool, Bool, [UInt8]?) {
    let text = (["GET / HTTP/\(version)", "Host: a"] + lines).joined(separator: "\r\n") + "\r\n\r\n"
    var decoder = HTTP1Decoder(role: .request)
    let head = MessageHead()
    let event = Array(text.utf8).withUnsafeBytes { decoder.next($0, head: head, trailers: MessageHead()).event }
    guard case .head(let result) = event else { throw Unexpected(event: "\(event)") }
    return (result.isUpgrade, result.offersHTTP2, head.upgradeSettings)
  }

  struct Unexpected: Error { var event: String }

  @Test(
    "an offer needs both connection options and `h2c`, in HTTP/1.1",
    arguments: [
      ("Upgrade, HTTP2-Settings", "h2c", "1.1", true), ("http2-settings,UPGRADE", "H2C", "1.1", true),
      ("Upgrade, HTTP2-Settings", "websocket, h2c", "1.1", true), ("Upgrade, HTTP2-Settings", "h2", "1.1", false),
      ("Upgrade", "h2c", "1.1", false), ("HTTP2-Settings", "h2c", "1.1", false),
      ("Upgrade, HTTP2-Settings", "h2c", "1.0", false),
    ])
  func offers(connection: String, upgrade: String, version: String, isOffer: Bool) throws {
    let (_, offers, _) = try Self.read(["Connection: \(connection)", "Upgrade: \(upgrade)"], version: version)
    #expect(offers == isOffer)
  }

  @Test(
    "an upgrade that names `h2c` among others goes no further, whichever line names it",
    arguments: [
      (["Upgrade: websocket"], true), (["Upgrade: h2c"], false), (["Upgrade: websocket, h2c"], false),
      (["Upgrade: h2c", "Upgrade: websocket"], false), (["Upgrade: websocket", "Upgrade: x, H2C"], false),
    ])
  func plainUpgrade(lines: [String], goesOn: Bool) throws {
    #expect(try Self.read(["Connection: Upgrade"] + lines).0 == goesOn)
  }

  @Test(
    "settings are base64url without padding and come once",
    arguments: [
      ([""], []), (["AAMAAABk"], [0, 3, 0, 0, 0, 100]),
      (["AAMAAABkAAQA_-__"], [0, 3, 0, 0, 0, 100, 0, 4, 0, 255, 239, 255]),
      ([], nil), (["", ""], nil), (["AAMAAABk", "AAMAAABk"], nil), (["AAMAAABk="], nil), (["AAMAAABkA"], nil),
      (["AAMAAAB+"], nil), (["AAMAAAB/"], nil), (["AAMAAAB"], nil), (["AAMAAA"], nil), (["AAMAAABkAB"], nil),
      (["AAMAAABkAAQAAP__AA"], nil), (["AAMAAABk, AAMAAABk"], nil), (["AAM AAABk"], nil),
    ] as [([String], [UInt8]?)])
  func settings(values: [String], payload: [UInt8]?) throws {
    #expect(try Self.read(values.map { "HTTP2-Settings: \($0)" }).2 == payload)
  }
}
