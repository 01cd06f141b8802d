internal import MeshAPI
internal import MeshControl
internal import MeshCore
internal import MeshPolicy

extension WhyAnswer.Caller {
  init(_ workload: Apus_V1_WorkloadStatus) {
    self.init(
      workload: workload.name, service: workload.service, namespace: workload.namespace, identity: workload.identity,
      address: workload.address, ready: workload.ready, connected: workload.connected,
      zone: workload.labels[Locality.zoneLabel], region: workload.labels[Locality.regionLabel],
      configuration: workload.configurationState)
  }

  var locality: Locality { Locality(region: region ?? "", zone: zone ?? "") }

  /// The workload that `text` names: `web-x7k2p`, its service `web`, `web.shop` or `shop/web`. Workloads of one service have the
  /// same configuration; the first that is connected speaks for all.
  static func find(_ text: String, namespace: String?, in workloads: [Apus_V1_WorkloadStatus]) throws -> Self {
    var (name, place) = (Substring(text), namespace)
    if let slash = text.firstIndex(of: "/") {
      (name, place) = (text[text.index(after: slash)...], String(text[..<slash]))
    } else if let dot = text.firstIndex(of: ".") {
      (name, place) = (text[..<dot], String(text[text.index(after: dot)...]))
    }
    let here = workloads.filter { place == nil || $0.namespace == place }
    let found = here.contains { $0.name == name } ? here.filter { $0.name == name } : here.filter { $0.service == name }
    let namespaces = Set(found.map(\.namespace)).sorted()
    guard namespaces.count <= 1 else {
      throw CLIFailure(
        "\(name) is in several namespaces: \(namespaces.joined(separator: ", "))",
        fix: "say which: --from \(name).\(namespaces[0])")
    }
    guard let first = found.first(where: \.connected) ?? found.first else {
      let names = Set(workloads.map { "\($0.service).\($0.namespace)" }).sorted().prefix(8).joined(separator: ", ")
      throw CLIFailure(
        "no workload \(text) is registered",
        fix: names.isEmpty ? "start one: apus run" : "there are \(names); see apus status")
    }
    return Self(first)
  }
}

extension Apus_V1_WorkloadStatus {
  /// One word on the configuration of the proxy.
  var configurationState: String {
    if !rejected.isEmpty { return "REJECTED" }
    return connected && sentVersion == ackedVersion ? "SYNCED" : "STALE"
  }
}
