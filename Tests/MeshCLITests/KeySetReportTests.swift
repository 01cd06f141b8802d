import MeshAPI
import SwiftProtobuf
import Testing

@testable import MeshCLI

@Suite("Keys for tokens in apus check") struct KeySetReportTests {
  private static let now: Int64 = 1_800_000_000

  private static func check(_ sets: [KeySetReport.KeySet]) -> [CheckItem] {
    let status = Apus_V1_StatusResponse.with { $0.workloads = [.with { $0.name = "orders-1" }] }
    let probes = CheckProbes(keySets: ["orders-1": KeySetReport(keySets: sets)])
    return CheckList.mesh(status, probes, now: now).filter { $0.name.hasPrefix("keys for tokens") }
  }

  private static func set(
    _ source: String, keys: Int64 = 0, failure: String = "", failing: Int64 = 0, read: Int64 = 0
  ) -> KeySetReport.KeySet {
    .init(source: source, keys: keys, failure: failure, failingSinceMs: failing, readMs: read)
  }

  @Test("a page of a proxy is read") func decoding() throws {
    let text = """
      {"key_sets":[{"source":"https://a/k","keys":2,"failure":"status 404","failing_since_ms":3,"read_ms":4}]}
      """
    let report = try KeySetReport.decode(Array(text.utf8))
    #expect(report.keySets == [Self.set("https://a/k", keys: 2, failure: "status 404", failing: 3, read: 4)])
  }

  @Test("keys that were never had are an error, old ones a warning, and each says since when") func marks() {
    let minute: Int64 = (Self.now - 60) * 1_000
    let hour: Int64 = (Self.now - 3_600) * 1_000
    let items = Self.check([
      Self.set("never", failure: "status 404", failing: minute),
      Self.set("old", keys: 2, failure: "the file cannot be read", failing: minute, read: hour), Self.set("new"),
      Self.set("good", keys: 3, read: minute),
    ])
    #expect(items.map(\.result) == [.error, .warning, .warning, .ok])
    #expect(items.map(\.section) == Array(repeating: "workload orders-1", count: 4))
    #expect(items[0].detail == "status 404, for 1m00s; requests with a token are answered 503")
    #expect(items[1].detail.contains("those of 1h") && items[1].detail.contains("cannot be read, for 1m"))
    #expect(items[3].name == "keys for tokens from good" && items[3].detail == "3")
    #expect(items[0].hint != nil && items[3].hint == nil)
  }

  @Test("a workload without key sets has no line") func none() { #expect(Self.check([]).isEmpty) }
}
