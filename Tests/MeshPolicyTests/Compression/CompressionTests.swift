import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@Suite("Compression of answers") struct CompressionTests {
  private static func head(_ status: UInt16 = 200, _ fields: [(String, String)]) -> MessageHead {
    let head = MessageHead()
    head.status = status
    for (name, value) in fields { head.append(name: name, value: value) }
    return head
  }

  @Test(
    "a client is given gzip if it takes it and does not want the plain form more",
    arguments: [
      ([], false), (["gzip"], true), (["GZIP"], true), (["x-gzip"], true), (["br, gzip;q=0.1"], true),
      (["gzip;q=0"], false), (["gzip; q=0.000"], false), (["*"], true), (["*;q=0"], false), (["*, gzip;q=0"], false),
      (["identity"], false), (["identity, gzip"], true), (["identity;q=0.5, gzip;q=0.4"], false),
      (["identity;q=0.5, gzip;q=0.5"], true), (["identity;q=0, *;q=0.001"], true), (["deflate"], false),
      (["br", "gzip"], true), ([" gzip ;q=1.0 "], true), (["gzip;q=1.1"], false), (["gzip;q=x"], false),
      (["gzip;level=1"], false), (["gzipped"], false), ([""], false), ([","], false), ([",,gzip,,"], true),
      (["gzip;q=0.12345"], false),
    ] as [([String], Bool)])
  func acceptance(_ fields: [String], _ wanted: Bool) {
    #expect(AcceptEncoding.wantsGzip(Self.head(200, fields.map { ("Accept-Encoding", $0) })) == wanted)
  }

  @Test("answers are compressed by type and length, and not where their bytes matter as they are")
  func eligibility() {
    let compression = CompiledCompression(CompressionPolicy(minimumBytes: 100))
    func suits(
      _ type: String?, _ framing: BodyFraming = .chunked, status: UInt16 = 200, fields: [(String, String)] = []
    ) -> Bool {
      compression.suits(Self.head(status, (type.map { [("content-type", $0)] } ?? []) + fields), framing: framing)
    }
    for type in ["text/html", "Text/Plain; charset=utf-8", "application/json", "image/svg+xml;a=b"] {
      #expect(suits(type))
    }
    for type in ["image/png", "text/event-stream", "application/octet-stream", "textual/plain", "text", ""] {
      #expect(!suits(type))
    }
    #expect(!suits(nil))
    #expect(suits("text/a", .length(100)) && !suits("text/a", .length(99)) && suits("text/a", .untilClose))
    #expect(!suits("text/a", .none) && !suits("text/a", .tunnel) && !suits("text/a", .length(0)))
    for status in [204, 205, 206, 304, 101] as [UInt16] { #expect(!suits("text/a", status: status)) }
    for status in [200, 201, 404, 500] as [UInt16] { #expect(suits("text/a", status: status)) }
    for field in [
      ("content-encoding", "br"), ("content-range", "bytes 0-9/10"), ("cache-control", "max-age=1, No-Transform"),
      ("content-md5", "a"), ("Repr-Digest", "sha-256=:a:"),
    ] { #expect(!suits("text/a", fields: [field])) }
    #expect(
      suits("text/a", fields: [("content-encoding", "identity"), ("cache-control", "no-transformers, no-store")]))
    #expect(
      CompiledCompression(CompressionPolicy(contentTypes: ["text/event-stream"])).suits(
        Self.head(200, [("content-type", "text/event-stream")]), framing: .chunked))
  }

  @Test("the head of a compressed answer has no length and no ranges, and a weak validator")
  func marks() {
    let head = Self.head(
      200, [("content-length", "9"), ("accept-ranges", "bytes"), ("content-encoding", "identity"), ("etag", "\"a\"")])
    CompiledCompression.mark(head)
    #expect(head.value(named: "content-length") == nil && head.value(named: "accept-ranges") == nil)
    #expect(head.value(named: "content-encoding") == "gzip")
    #expect(head.value(named: "etag") == "W/\"a\"")
    CompiledCompression.mark(head)
    #expect(head.value(named: "etag") == "W/\"a\"")
  }

  @Test(
    "an answer says once that it depends on what is accepted",
    arguments: [
      ([], 1), (["origin"], 2), (["Accept-Encoding"], 1), (["origin, accept-encoding"], 1), (["*"], 1),
      (["a", "b,ACCEPT-ENCODING"], 2),
    ] as [([String], Int)])
  func variants(_ fields: [String], _ count: Int) {
    let head = Self.head(200, fields.map { ("vary", $0) })
    CompiledCompression.markVariant(head)
    #expect(head.fields.count { $0.token == .vary && !$0.isRemoved } == count)
    if fields.count < count { #expect(head.fields.last.map { head.bytes($0.value).string } == "accept-encoding") }
  }
}
