import CMallocCounter
import MeshHTTP
import Testing

@testable import MeshProxy

/// Heap that a connection keeps while it waits for its next request. TLS is not in these numbers.
@Suite("Memory of an idle connection", .serialized)
struct IdleMemoryTests {
  private static let connections = 200
  private static let get = "GET /a HTTP/1.1\r\nHost: orders.shop\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n"

  /// Bytes per connection when `connections` of them are open, each made by `open` with one request served.
  private static func perConnection<Kept>(_ proxy: TestProxy, _ open: () throws -> Kept) throws -> Int {
    // Free lists, tables of labels and the like are there before the first measured connection.
    let first = try (0..<20).map { _ in try open() }
    let before = try proxy.onLoop { _ in apus_malloc_held() }
    let kept = try (0..<connections).map { _ in try open() }
    let after = try proxy.onLoop { _ in apus_malloc_held() }
    try #require(after != before, "the counter does not count")
    let bytes = Int(after - before) / connections
    print("bytes per idle connection: \(bytes)")
    withExtendedLifetime((first, kept)) {}
    return bytes
  }

  @Test("HTTP/1: less than 1.5 KiB") func http1() throws {
    let proxy = try TestProxy.forwarding(to: Backend.named("hello"))
    let bytes = try Self.perConnection(proxy) {
      let client = try proxy.connect()
      _ = try client.exchange(Self.get)
      return client
    }
    #expect(bytes < 1536)
  }

  @Test("HTTP/2: less than 8 KiB") func http2() throws {
    let proxy = try TestProxy.forwarding(to: Backend.named("hello"))
    let bytes = try Self.perConnection(proxy) {
      let client = try HTTP2Peer(try proxy.connect())
      let stream = try client.request(.get, "/a", [("user-agent", "test"), ("accept", "*/*")])
      while client.streams[stream.rawValue]?.isEnded != true { try client.step() }
      return client
    }
    #expect(bytes < 8 * 1024)
  }
}
