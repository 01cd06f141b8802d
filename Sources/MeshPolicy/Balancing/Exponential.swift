/// e^-x for x >= 0, with a relative error below 1e-6: 2^-k from the exponent bits times a polynomial for the rest.
@inline(__always)
func exponentialDecay(_ x: Double) -> Double {
  if x > 700 { return 0 }
  let powers = x * 1.4426950408889634
  let whole = powers.rounded(.down)
  let r = (powers - whole) * 0.6931471805599453
  // Taylor series of e^-r for r in 0 ..< ln 2.
  let series =
    1 - r * (1 - r / 2 * (1 - r / 3 * (1 - r / 4 * (1 - r / 5 * (1 - r / 6 * (1 - r / 7 * (1 - r / 8)))))))
  return series * Double(bitPattern: UInt64(1023 - Int(whole)) << 52)
}

/// x^y for 0 <= x <= 1 and y > 0, with a relative error below 1e-5 where it matters.
func power(_ x: Double, _ y: Double) -> Double {
  x <= 0 ? 0 : exponentialDecay(max(0, -y * naturalLogarithm(x)))
}

/// ln x for a normal x > 0: the exponent, and the series of 2 artanh((m - 1) / (m + 1)) for the significand `m` in 1 ..< 2.
func naturalLogarithm(_ x: Double) -> Double {
  let z = (x.significand - 1) / (x.significand + 1)
  let square = z * z
  let series = 1 + square * (1 / 3 + square * (1 / 5 + square * (1 / 7 + square * (1 / 9 + square / 11))))
  return Double(x.exponent) * 0.6931471805599453 + 2 * z * series
}
