/// One reading of one workload's counters.
package struct Scrape: Sendable {
  /// Counter values by series; gauges are in here too and are simply never subtracted.
  package var values: [Series: Double]

  package struct Series: Hashable, Sendable {
    package var name: String
    package var labels: [String: String]
  }

  package init(_ samples: [MetricSample]) {
    values = [:]
    for sample in samples {
      values[Series(name: sample.name, labels: sample.labels), default: 0] += sample.value
    }
  }

  /// How far the counters moved since `earlier`. A counter that fell was reset (the proxy was restarted): it counts
  /// from zero, as in Prometheus' `rate`.
  package func increase(since earlier: Scrape) -> [MetricSample] {
    values.map { series, value in
      let before = earlier.values[series] ?? 0
      return MetricSample(name: series.name, labels: series.labels, value: value >= before ? value - before : value)
    }
  }
}
