package import MeshAPI
internal import SwiftProtobuf

/// A join token as `apus identity token list` shows it.
package struct JoinTokenRow: Encodable, Hashable, Sendable {
  package var id: String
  package var state: String
  package var namespace: String
  package var serviceAccount: String
  package var service: String
  package var labels: [String: String]
  package var created: Int64
  package var expires: Int64
  /// Nil: any number.
  package var uses: Int?
  package var used: Int
  package var workloads: [String]

  package init(_ status: Apus_V1_JoinTokenStatus) {
    id = status.id
    state = status.state
    namespace = status.namespace
    serviceAccount = status.serviceAccount
    service = status.service
    labels = status.labels
    created = status.created
    expires = status.expires
    uses = status.uses == 0 ? nil : Int(status.uses)
    used = Int(status.used)
    workloads = status.workloads
  }

  package static func table(_ rows: [JoinTokenRow], now: Int64) -> String {
    guard !rows.isEmpty else { return "no join tokens; make one: apus identity token create --service NAME\n" }
    var table = TextTable([
      .init("ID"), .init("STATE"), .init("SERVICE ACCOUNT"), .init("SERVICE"), .init("LABELS"), .init("USES", .right),
      .init("EXPIRES"), .init("WORKLOADS"),
    ])
    for row in rows {
      table.add(
        row.id, row.state, "\(row.namespace)/\(row.serviceAccount)", row.service,
        row.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ","),
        "\(row.used)/\(row.uses.map(String.init) ?? "any")",
        row.expires > now ? "in \(Format.duration(seconds: row.expires - now))" : Format.utc(seconds: row.expires),
        row.workloads.joined(separator: ","))
    }
    return table.render()
  }
}

/// `90s`, `10m`, `1h`, `30d`.
package enum TimeText {
  package static func seconds(_ text: String) -> Int64? {
    let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
    guard let unit = text.last.flatMap({ units[$0] }), let count = Int64(text.dropLast()), count >= 0 else {
      return nil
    }
    let (seconds, overflow) = count.multipliedReportingOverflow(by: unit)
    return overflow ? nil : seconds
  }
}
