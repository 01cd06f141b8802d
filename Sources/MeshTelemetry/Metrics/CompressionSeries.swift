/// A service whose answers are compressed. Strings are ids of the shard's `LabelInterner`.
struct CompressionSeriesKey: Hashable, Sendable {
  var service: Int32
  var namespace: Int32

  func labels(_ strings: [String]) -> String {
    LabelText.join([("dst_service", strings[Int(service)]), ("dst_namespace", strings[Int(namespace)])])
  }
}

struct CompressionCounts: Sendable {
  var answers: UInt64 = 0
  var bytesIn: UInt64 = 0
  var bytesOut: UInt64 = 0

  mutating func add(_ bytesIn: UInt64, _ bytesOut: UInt64) {
    answers &+= 1
    self.bytesIn &+= bytesIn
    self.bytesOut &+= bytesOut
  }

  static func write(_ snapshots: [MetricsSnapshot], to writer: inout PrometheusWriter) {
    func family(_ name: String, _ help: String, _ value: (CompressionCounts) -> UInt64) {
      var sums: [String: UInt64] = [:]
      for snapshot in snapshots {
        for (key, counts) in snapshot.compression { sums[key.labels(snapshot.strings), default: 0] &+= value(counts) }
      }
      writer.counters(name, help, sums)
    }
    family("response_compressed_total", "Answers that went out compressed.") { $0.answers }
    family("response_compression_input_bytes_total", "Their content as the application sent it.") { $0.bytesIn }
    family("response_compression_output_bytes_total", "Their content as it went out.") { $0.bytesOut }
  }
}
