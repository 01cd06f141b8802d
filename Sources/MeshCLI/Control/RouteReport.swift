package import MeshAPI

/// `apus get httproute`: routes, or policies, with their status.
package struct RouteReport: Sendable {
  package let items: [Apus_V1_RouteStatus]
  private let controllerName: String

  package init(_ response: Apus_V1_RoutesResponse) {
    items = response.routes
    controllerName = response.controllerName
  }

  // MARK: - Table

  /// `noun` is what the items are, in the plural.
  package func table(of noun: String = "routes") -> String {
    guard let first = items.first else { return "no \(noun)\n" }
    // Of kinds that have it: fault injections come and go by themselves, workloads are spoken to in one of two ways.
    let more = ["FaultInjection": ["Active"], "Workload": ["Ready", "Meshed"]][first.kind] ?? []
    var table = TextTable(
      [
        .init("NAME"), .init("NAMESPACE"), .init(first.isPolicy ? "TARGETS" : "PARENTS"), .init("ACCEPTED"),
        .init("RESOLVED-REFS"),
      ] + more.map { TextTable.Column($0.uppercased()) } + [.init("FILE")])
    for item in items {
      table.rows.append(
        [
          item.name, item.namespace, item.parents.map(\.shown).joined(separator: ","), item.summary(of: "Accepted"),
          item.summary(of: "ResolvedRefs"),
        ] + more.map { item.summary(of: $0) } + ["\(item.file):\(item.line)"])
    }
    let problems = items.flatMap(\.problems)
    return table.render() + (problems.isEmpty ? "" : "\n" + problems.map { "\($0)\n" }.joined())
  }

  // MARK: - Documents

  /// One object, or a `List` of them.
  package func document(ofOne isOne: Bool) -> Document {
    let documents = items.map { document($0) }
    if isOne, documents.count == 1 { return documents[0] }
    return .object([("apiVersion", .text("v1")), ("kind", .text("List")), ("items", .list(documents))])
  }

  private func document(_ item: Apus_V1_RouteStatus) -> Document {
    var metadata: [(key: String, value: Document)] = [
      ("name", .text(item.name)), ("namespace", .text(item.namespace)),
      ("annotations", .object([("apus.dev/source", .text("\(item.file):\(item.line)"))])),
    ]
    if item.created != 0 { metadata.append(("creationTimestamp", .text(Format.utc(seconds: item.created)))) }
    if item.generation != 0 { metadata.append(("generation", .number(item.generation))) }
    var status: [(key: String, value: Document)] = []
    if !item.conditions.isEmpty {
      status.append(("conditions", .list(item.conditions.map { $0.document(generation: item.generation) })))
    }
    let parents = item.parents.map { parent in
      Document.object([
        (item.isPolicy ? "ancestorRef" : "parentRef", parent.document), ("controllerName", .text(controllerName)),
        ("conditions", .list(parent.conditions.map { $0.document(generation: item.generation) })),
      ])
    }
    if !parents.isEmpty || status.isEmpty { status.append((item.isPolicy ? "ancestors" : "parents", .list(parents))) }
    return .object([
      ("apiVersion", .text(item.apiVersion)), ("kind", .text(item.kind)), ("metadata", .object(metadata)),
      ("status", .object(status)),
    ])
  }
}

extension Apus_V1_RouteStatus {
  /// `True`, or the share of parents for which it is, with the first reason why it is not for all.
  fileprivate func summary(of type: String) -> String {
    let conditions = (parents.map(\.conditions) + [self.conditions]).compactMap { $0.first { $0.type == type } }
    guard let failed = conditions.first(where: { !$0.status }) else { return conditions.isEmpty ? "" : "True" }
    let good = conditions.count(where: \.status)
    return good == 0 ? "False (\(failed.reason))" : "\(good)/\(conditions.count) (\(failed.reason))"
  }

  /// What is not as it should be, each text once.
  fileprivate var problems: [String] {
    var texts: [String] = []
    for condition in parents.flatMap(\.conditions) + conditions where condition.isTrouble {
      let text = "\(namespace)/\(name): \(condition.reason): \(condition.message)"
      if !texts.contains(text) { texts.append(text) }
    }
    return texts
  }
}

extension Apus_V1_RouteParentStatus {
  /// `orders.shop:80`, or with a section's name in the place of the port; with the kind where it is not a Service.
  fileprivate var shown: String {
    if kind != "Service" {
      let section = sectionName.isEmpty && port != 0 ? "\(port)" : sectionName
      return "\(kind)/\(name)" + (section.isEmpty ? "" : "#\(section)")
    }
    let parts = [port == 0 ? "" : "\(port)", sectionName].filter { !$0.isEmpty }
    return "\(name).\(namespace)" + (parts.isEmpty ? "" : ":" + parts.joined(separator: "/"))
  }

  fileprivate var document: Document {
    var fields: [(key: String, value: Document)] = [
      ("group", .text(group)), ("kind", .text(kind)), ("namespace", .text(namespace)), ("name", .text(name)),
    ]
    if namespace.isEmpty { fields.remove(at: 2) }
    if !sectionName.isEmpty { fields.append(("sectionName", .text(sectionName))) }
    if port != 0 { fields.append(("port", .number(Int64(port)))) }
    return .object(fields)
  }
}

extension Apus_V1_Condition {
  /// Two types are there only when something is not as it should be. Neither is wrong with a program outside the mesh.
  fileprivate var isTrouble: Bool { type != "Meshed" && status == ["PartiallyInvalid", "Conflicted"].contains(type) }

  fileprivate func document(generation: Int64) -> Document {
    var fields: [(key: String, value: Document)] = [
      ("type", .text(type)), ("status", .text(status ? "True" : "False")), ("reason", .text(reason)),
      ("message", .text(message)), ("lastTransitionTime", .text(Format.utc(seconds: sinceMs / 1000))),
    ]
    if generation != 0 { fields.append(("observedGeneration", .number(generation))) }
    return .object(fields)
  }
}
