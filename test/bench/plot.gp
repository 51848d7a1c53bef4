# Draws doc/benchmark.svg.  Variables: dir, where the data is and the plot goes.
set terminal svg size 900,380 font 'sans-serif,13' background 'white'
set output dir.'/benchmark.svg'
set multiplot layout 1,2
set grid ytics linecolor 'gray'
set yrange [0:*]
set ylabel 'µs per call'

set title 'Cost by contestant, server side'
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8 border
set key top left
set xrange [-0.7:2.7]
plot dir.'/cost.dat' using 2:xtic(1) title 'block' linecolor 'dark-blue', \
     '' using 3 title 'unblock' linecolor 'skyblue'

set title 'contact\_block by size of the table'
set xlabel 'contacts'
set autoscale x
set logscale x
set format x '10^{%L}'
set key off
plot dir.'/growth.dat' using 1:2 with linespoints linewidth 2 pointtype 7 linecolor 'dark-blue'
