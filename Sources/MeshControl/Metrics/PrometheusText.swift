/// One sample of the Prometheus text exposition format 0.0.4 (OpenMetrics 1.0 reads the same way here).
package struct MetricSample: Hashable, Sendable {
  package var name: String
  package var labels: [String: String]
  package var value: Double

  package init(name: String, labels: [String: String] = [:], value: Double) {
    self.name = name
    self.labels = labels
    self.value = value
  }
}

/// Reads metrics pages. Comments and lines that do not parse are passed over: a page of a newer proxy still works.
package enum PrometheusText {
  /// With `families`, lines that begin with none of these words are passed over unread: a page may have many.
  package static func parse(_ text: some Sequence<UInt8>, only families: [String] = []) -> [MetricSample] {
    var samples: [MetricSample] = []
    let families = families.map { Array($0.utf8) }
    for line in Array(text).split(separator: UInt8(ascii: "\n")) {
      guard families.isEmpty || families.contains(where: line.starts(with:)) else { continue }
      var scanner = Scanner(line)
      if let sample = scanner.sample() { samples.append(sample) }
    }
    return samples
  }

  /// A cursor over one line.
  private struct Scanner {
    private var rest: ArraySlice<UInt8>

    init(_ line: ArraySlice<UInt8>) { rest = line }

    mutating func sample() -> MetricSample? {
      skipSpace()
      guard rest.first != UInt8(ascii: "#"), let name = identifier() else { return nil }
      var labels: [String: String] = [:]
      if take("{") {
        while !take("}") {
          skipSpace()
          guard let key = identifier(), take("=") else { return nil }
          skipSpace()
          guard let value = quoted() else { return nil }
          labels[key] = value
          guard take(",") || peek("}") else { return nil }
        }
      }
      skipSpace()
      let number = rest.prefix { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }
      guard let value = Self.value(String(decoding: number, as: UTF8.self)) else { return nil }
      return MetricSample(name: name, labels: labels, value: value)
    }

    private static func value(_ text: String) -> Double? {
      switch text {
      case "+Inf", "Inf": .infinity
      case "-Inf": -.infinity
      case "NaN": .nan
      default: Double(text)
      }
    }

    private mutating func identifier() -> String? {
      let name = rest.prefix {
        (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F
          || $0 == 0x3A
      }
      guard let first = name.first, !(0x30...0x39).contains(first) else { return nil }
      rest = rest.dropFirst(name.count)
      return String(decoding: name, as: UTF8.self)
    }

    /// A label's value: `\\`, `\"` and `\n` are its escapes.
    private mutating func quoted() -> String? {
      guard rest.popFirst() == UInt8(ascii: "\"") else { return nil }
      var bytes: [UInt8] = []
      while let byte = rest.popFirst() {
        switch byte {
        case UInt8(ascii: "\""): return String(decoding: bytes, as: UTF8.self)
        case UInt8(ascii: "\\"):
          guard let escaped = rest.popFirst() else { return nil }
          bytes.append(escaped == UInt8(ascii: "n") ? 0x0A : escaped)
        default: bytes.append(byte)
        }
      }
      return nil
    }

    /// Takes a mark and the space before it.
    private mutating func take(_ character: Unicode.Scalar) -> Bool {
      guard peek(character) else { return false }
      rest.removeFirst()
      return true
    }

    private mutating func peek(_ character: Unicode.Scalar) -> Bool {
      skipSpace()
      return rest.first == UInt8(ascii: character)
    }

    private mutating func skipSpace() { rest = rest.drop { $0 == 0x20 || $0 == 0x09 } }
  }
}
